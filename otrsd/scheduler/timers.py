"""The scheduler: plugins' timers and the trash's end, because time has passed.

One process of the installation holds the lease ``scheduler`` in SQL; others look on.
Each timer is a transaction of its own, so that one failing plugin delays nobody:
its row is put off and the plugin named in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from otrsd.control import Control, Work
from otrsd.desk import tickets, trash
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.unit import Desk, Unit
from otrsd.errors import DatabaseAwayError, TemporaryError
from otrsd.hooks import Hooks
from otrsd.implementations import described
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import THIS_TICKET, Changes, PluginState
from otrsd.postmaster.amend import existing
from otrsd.postmaster.view import View
from otrsd.postmaster.write import change_other
from otrsd.store import locks, plugin_state

#: Seconds between two looks.
REST = 1.0
#: How long the lease lasts without being kept.
LEASE = timedelta(seconds=30)
#: When a timer whose plugin failed fires again.
PUT_OFF = timedelta(minutes=5)
#: Seconds between two looks at the trash.
TRASH_EVERY = 60.0
#: Seconds a plugin may take for one timer.
LIMIT = 1.0
_AT_ONCE = 100


@dataclass(slots=True, kw_only=True)
class Scheduler:
    """One scheduler process."""

    desk: Desk
    hooks: Hooks
    #: Where a ticket goes that a plugin opens without naming a queue.
    default_queue: str
    #: Names of all queues.
    queues: Sequence[str]
    control: Control
    log: Any
    holder: str
    looked_at_trash: float = -TRASH_EVERY

    def run(self) -> None:
        """Watch time until a stop is asked for."""
        while not self.control.stopping():
            try:
                self.turn()
            except TemporaryError as error:
                self.log.warning("database.away", reason=str(error))
            self.control.wait(REST)

    def turn(self) -> None:
        """Do what is due, if this process holds the lease."""
        if not (self._is_anything_due() and self._holds_lease()):
            return
        for plugin, key in self._due():
            try:
                self.fire(plugin, key)
            except TemporaryError:
                raise
            except Exception as error:  # noqa: BLE001 - one timer must not stop all
                self._put_off(plugin, key)
                self._tell(plugin, described(error))
        now = self.desk.clock.monotonic()
        if now - self.looked_at_trash >= TRASH_EVERY:
            self.looked_at_trash = now
            purged = trash.purge_expired(self.desk, self.desk.clock.now())
            if purged:
                self.log.info("trash.purged", mails=purged)

    def fire(self, plugin: str, key: str) -> None:
        """Let one timer fire; its row loses its due time with the commit."""
        failure = ""
        with self.desk.unit() as unit:
            locks.lock(unit.connection, [f"{plugin}:{key}"])
            state = plugin_state.read(unit.connection, plugin, key)
            if state is None or state.due_at is None or state.due_at > unit.at:
                return
            plugin_state.settle(unit.connection, plugin, key)
            self.control.note(
                Work(stage="on_due", plugin=plugin, alone=True, limit=LIMIT)
            )
            answers = self.hooks.on_due(plugin, key, state, View(unit, plugin))
            self.control.note(Work())
            for answer in answers:
                failure = failure or answer.failure
                self._apply(unit, plugin, answer.value or ())
            if failure:
                later = replace(state, due_at=unit.at + PUT_OFF)
                plugin_state.write(unit.connection, plugin, {key: later})
        if failure:
            self._tell(plugin, failure)

    def _tell(self, plugin: str, reason: str) -> None:
        self.log.error("plugin.failed", plugin=plugin, reason=reason)

    def put_off(self, predecessor: Work | None) -> None:
        """Put off the timers of the plugin in which our predecessor died."""
        if predecessor is None or not predecessor.plugin:
            return
        for plugin, key in self._due():
            if plugin == predecessor.plugin:
                self._put_off(plugin, key)

    def _put_off(self, plugin: str, key: str) -> None:
        with self.desk.unit() as unit:
            locks.lock(unit.connection, [f"{plugin}:{key}"])
            state = plugin_state.read(unit.connection, plugin, key)
            if state is not None:
                later = replace(state, due_at=unit.at + PUT_OFF)
                plugin_state.write(unit.connection, plugin, {key: later})

    def _apply(self, unit: Unit, plugin: str, proposals: Iterable[Changes]) -> None:
        who = f"plugin:{plugin}"
        for proposal in proposals:
            changes, wrong = existing(self.queues, proposal)
            for name in wrong:
                value = getattr(proposal, name)
                self._tell(plugin, f"there is no {name} {value!r}")
            if changes.open_ticket:
                _open(unit, plugin, changes, self.default_queue)
            else:
                change_other(unit, who, changes)

    def _is_anything_due(self) -> bool:
        now = self.desk.clock.monotonic()
        if now - self.looked_at_trash >= TRASH_EVERY:
            return True
        with self.desk.database.read() as connection:
            return bool(plugin_state.due(connection, self.desk.clock.now(), 1))

    def _holds_lease(self) -> bool:
        now = self.desk.clock.now()
        with self.desk.database.write() as connection:
            fence = locks.take_lease(connection, "scheduler", self.holder, now, LEASE)
        return fence is not None

    def _due(self) -> list[tuple[str, str]]:
        try:
            with self.desk.database.read() as connection:
                rows = plugin_state.due(connection, self.desk.clock.now(), _AT_ONCE)
        except DatabaseAwayError:
            return []
        return [(plugin, key) for plugin, key, _ in rows]


def _open(unit: Unit, plugin: str, changes: Changes, default_queue: str) -> None:
    """Make the ticket a timer asks for; its first article is the note."""
    who = Who(actor="system", cause=f"plugin:{plugin}")
    note = NewArticle(
        kind=ArticleKind.SYSTEM,
        sender_type=SenderType.SYSTEM,
        visible_to_customer=False,
        from_text=f"plugin {plugin}",
        subject=changes.title or "",
        text=changes.note or "",
    )
    values = replace(changes, queue=changes.queue or default_queue, note=None)
    ticket, _ = tickets.create(unit, values, note, who)
    states: dict[str, PluginState | None] = {}
    for key, state in changes.plugin_state.items():
        mine = state is not None and state.ticket_id == THIS_TICKET
        states[key] = replace(state, ticket_id=ticket.id) if state and mine else state
    plugin_state.write(unit.connection, plugin, states)
