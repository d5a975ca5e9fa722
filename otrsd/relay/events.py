"""The event lane: tells observing plugins about committed changes, at least once.

Each plugin has outbox rows of its own, so that one failing plugin retries alone,
with a growing pause (a minute to six hours) and without end; a row that is told
twice carries the same ``event.id``. A plugin that hangs is ended with this process
by the supervisor and finds its row again when the lease runs out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from otrsd.clock import Clock
from otrsd.control import Control, Work
from otrsd.failpoint import failpoint
from otrsd.hooks import Hooks
from otrsd.model.event import Event
from otrsd.relay.turns import take_turns
from otrsd.store import outbox
from otrsd.store.engine import Database
from otrsd.store.outbox import Owed

#: Rows leased at once, and for how long.
BATCH, LEASE = 50, timedelta(minutes=2)
#: Seconds a plugin may take for one event.
LIMIT = 30.0
#: Pauses after the first, second … failure; the last one for all further ones.
PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)


@dataclass(slots=True, kw_only=True)
class EventLane:
    """One relay process for events."""

    database: Database
    hooks: Hooks
    clock: Clock
    control: Control
    log: Any

    def run(self) -> None:
        """Tell events until a stop is asked for."""
        take_turns(self.control, self.log, self.turn)

    def turn(self) -> bool:
        """Tell one batch; tell whether there was one."""
        now = self.clock.now()
        with self.database.read() as connection:
            if not outbox.is_any_due(connection, "event", now):
                return False
        with self.database.write() as connection:
            owed = outbox.lease(connection, "event", now, LEASE, BATCH)
        failpoint("relay.leased")
        for each in owed:
            self._pay(each)
            if self.control.stopping():
                break
        return bool(owed)

    def _pay(self, owed: Owed) -> None:
        self.control.note(
            Work(stage="on_event", plugin=owed.target, alone=True, limit=LIMIT)
        )
        answers = self.hooks.on_event(owed.target, event_of(owed.payload))
        self.control.note(Work())
        failures = [answer.failure for answer in answers if answer.failure]
        with self.database.write() as connection:
            if not failures:
                outbox.done(connection, [owed.id])
                return
            pause = PAUSES[min(owed.attempts, len(PAUSES) - 1)]
            outbox.defer(connection, owed, self.clock.now() + pause, failures[0])
        self.log.error("plugin.failed", plugin=owed.target, reason=failures[0])


def event_of(payload: str) -> Event:
    """Read an event as the desk has written it."""
    values = json.loads(payload)
    values["at"] = datetime.fromisoformat(values["at"])
    return Event(**values)
