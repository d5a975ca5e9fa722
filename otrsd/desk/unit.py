"""A Unit: one write transaction on the desk, and what it owes before its commit.

Verbs call :meth:`Unit.record` and the ``…_later`` methods; nothing of that touches
the database until :meth:`Unit.seal`, which runs once, at the end. There the rows
nobody has to read inside the transaction are written in bulk, the new tickets get
their numbers (the counter's row is the last lock but one), and the history is
chained (its head is the last lock): numbers and history are gapless because
whatever fails, fails before the commit.

A Unit has no savepoints: a batch that hits an error is rolled back as a whole and
redone one mail at a time (docs/decisions/0002-no-savepoints.md).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from otrsd.clock import Clock
from otrsd.desk.numbers import Numbers
from otrsd.model.event import Event
from otrsd.model.ticket import INACTIVE, STATES, Ticket
from otrsd.store import (
    figures,
    history,
    index_todo,
    ledger,
    locks,
    outbox,
    tickets,
    traces,
)
from otrsd.store.engine import Connection, Database
from otrsd.store.history import Change, Seal
from otrsd.store.text import ADDRESS, NAME, storable

#: Ids are signed 64-bit columns; a plugin may name any number.
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where Units come from; made once by the composition root."""

    database: Database
    clock: Clock
    numbers: Numbers
    #: Name of this machine, on every history row.
    node: str
    #: Key of the history's chain.
    key: bytes
    #: Plugins that implement ``on_event``: each gets an outbox row per change.
    observers: tuple[str, ...] = ()
    #: Whether the words of attachments are owed to the index.
    reads_attachments: bool = True
    random: Callable[[int], bytes] = os.urandom

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Open a write transaction; seal and commit it on a clean exit."""
        with self.database.write() as connection:
            unit = Unit(self, connection)
            yield unit
            unit.seal()


class Unit:
    """One write transaction; see the module."""

    def __init__(self, desk: Desk, connection: Connection) -> None:
        self.connection = connection
        #: The one time of everything this transaction writes.
        self.at: datetime = desk.clock.now()
        #: Filled by ``seal``: ticket id → number.
        self.numbers: dict[int, str] = {}
        self._desk = desk
        self._changes: list[Change] = []
        self._unnumbered: list[int] = []
        self._tags: list[tuple[int, str]] = []
        self._participants: list[tuple[int, str]] = []
        self._entries: list[ledger.Entry] = []
        self._traces: dict[str, Sequence[Any]] = {}
        self._snapshot = ""
        self._todo: list[int] = []
        self._extracts: list[str] = []
        self._once_numbered: list[Callable[[], None]] = []

    def record(self, change: Change) -> None:
        """Owe a history row."""
        fit = replace(
            change,
            actor=storable(change.actor, ADDRESS),
            cause=storable(change.cause, ADDRESS),
            queue=storable(change.queue, NAME),
            owner=storable(change.owner, NAME),
        )
        self._changes.append(fit)

    def number_later(self, ticket_id: int) -> None:
        """Owe a new ticket its number."""
        self._unnumbered.append(ticket_id)

    def once_numbered(self, act: Callable[[], None]) -> None:
        """Call ``act`` when the new tickets have their numbers, before the commit.

        It must not open another ticket. An error of it ends the transaction.
        """
        self._once_numbered.append(act)

    @property
    def acts(self) -> int:
        """Return how much :meth:`once_numbered` owes: it prolongs the seal."""
        return len(self._once_numbered)

    def tag_later(self, ticket_id: int, tag: str) -> None:
        """Owe a new ticket a tag."""
        self._tags.append((ticket_id, tag))

    def participant_later(self, ticket_id: int, address: str) -> None:
        """Owe a ticket a participant it does not have yet."""
        self._participants.append((ticket_id, address))

    def is_participant(self, ticket_id: int, address: str) -> bool:
        """Tell whether ``address`` belongs to the ticket, as of this very moment."""
        self.flush()
        return tickets.is_participant(self.connection, ticket_id, address)

    def taking_part(self, ticket_ids: Sequence[int], address: str) -> set[int]:
        """Return those of the tickets to which ``address`` belongs right now."""
        self.flush()
        return tickets.taking_part(self.connection, ticket_ids, address)

    def participants(self, ticket_id: int) -> set[str]:
        """Return who belongs to the ticket, as of this very moment."""
        self.flush()
        return set(tickets.participants(self.connection, ticket_id))

    def ticket(self, ticket_id: int) -> Ticket | None:
        """Return a ticket as of this very moment; its row is locked until the end."""
        if not 0 < ticket_id <= _LARGEST_ID:
            return None
        self.flush()
        return tickets.by_id(self.connection, ticket_id, lock=True)

    def index_later(self, article_id: int) -> None:
        """Owe the index an article's words."""
        self._todo.append(article_id)

    def extract_later(self, article_id: int) -> None:
        """Owe the index the words of an article's attachments."""
        self._extracts.append(str(article_id))

    def outcome(self, entry: ledger.Entry) -> None:
        """Owe the ledger what became of a mail."""
        self._entries.append(entry)

    def trace(self, spool_id: str, steps: Sequence[Any], snapshot: str) -> None:
        """Owe a mail its trace."""
        self._traces[spool_id] = steps
        self._snapshot = snapshot

    def flush(self) -> None:
        """Write tags and participants now, so that this transaction reads them."""
        if self._tags:
            tickets.add_tags(self.connection, self._tags)
            self._tags = []
        if self._participants:
            tickets.add_participants(self.connection, self._participants)
            self._participants = []

    def seal(self) -> None:
        """Pay everything; numbers and history last."""
        connection = self.connection
        self.flush()
        if self._entries:
            ledger.add(connection, self._entries, self.at)
        if self._traces:
            traces.add(connection, self._traces, self._snapshot)
        self._give_numbers()
        for act in self._once_numbered:
            act()
        self.flush()
        self._count_closed()
        if self._todo:
            index_todo.add(connection, self._todo, self.at)
        if self._extracts and self._desk.reads_attachments:
            outbox.add(connection, outbox.EXTRACT, [""], self._extracts, self.at)
        self._chain()

    def _give_numbers(self) -> None:
        if not self._unnumbered:
            return
        scheme = self._desk.numbers
        day = scheme.day(self.at)
        many = len(self._unnumbered)
        first = locks.count_up(self.connection, f"ticket/{day}", many) + 1
        self.numbers = {
            ticket_id: scheme.number(day, first + n)
            for n, ticket_id in enumerate(self._unnumbered)
        }
        tickets.set_numbers(self.connection, self.numbers)

    def _count_closed(self) -> None:
        """Add to the counters of tickets on which nobody has to work any more."""
        closed = Counter(each.queue for each in self._changes if _closes(each))
        for queue, times in sorted(closed.items()):
            locks.count_up(self.connection, figures.closed_in(queue), times)

    def _chain(self) -> None:
        if not self._changes:
            return
        desk = self._desk
        changes = [self._numbered(change) for change in self._changes]
        salts = desk.random(history.SALT_OCTETS * len(changes))
        seal = Seal(at=self.at, node=desk.node, key=desk.key)
        first = history.append(self.connection, changes, seal, salts)
        if desk.observers:
            self._tell(changes, first)

    def _numbered(self, change: Change) -> Change:
        """Let the row that opens a ticket name its number."""
        if change.type != "NewTicket" or change.ticket_id not in self.numbers:
            return change
        number = self.numbers[change.ticket_id]
        return replace(change, data={**change.data, "number": number})

    def _tell(self, changes: Sequence[Change], first: int) -> None:
        """Owe each observing plugin each change, in a row of its own."""
        payloads = []
        for n, change in enumerate(changes):
            event = Event(
                id=first + n,
                type=change.type,
                at=self.at,
                actor=change.actor,
                cause=change.cause,
                ticket_id=change.ticket_id,
                article_id=change.article_id,
                data=change.data,
            )
            text = json.dumps(asdict(event), default=str, ensure_ascii=False)
            payloads.append(storable(text))
        outbox.add(self.connection, "event", self._desk.observers, payloads, self.at)


def _closes(change: Change) -> bool:
    """Tell whether a change makes a ticket inactive, or opens one that is."""
    if change.type not in {"StateUpdate", "NewTicket"}:
        return False
    was = STATES.get(str(change.data.get("old", "")))
    return STATES.get(change.state) in INACTIVE and was not in INACTIVE
