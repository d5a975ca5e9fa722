"""The supervisor's books on one child: alive or due, ready or not, what it had in hand.

No process is touched here: :mod:`.supervisor` sends the orders, this says what each
death means. A death leaves a predecessor's Work behind if the child had something in
hand, unless the stop of everybody or SIGTERM ended it: that is never a strike.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime

from otrsd.clock import Clock
from otrsd.control import Work
from otrsd.daemon.backoff import Backoff
from otrsd.daemon.messages import RoleLine
from otrsd.daemon.slots import InHand, Slot
from otrsd.daemon.status import ProcessStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a child ended; the fields of a log line."""

    name: str
    pid: int
    #: ``signal 9 (SIGKILL)``, ``exit code 1``, ``overran …``.
    cause: str
    seconds_alive: float
    in_hand: Work
    #: Seconds until it is started again.
    restart_in: float
    #: Why, in its own words.
    said: str = ""

    def fields(self) -> dict[str, str | int | float]:
        """Return who it was and why, for a log line."""
        return {
            "name": self.name,
            "pid": self.pid,
            "cause": self.cause,
            "seconds_alive": self.seconds_alive,
        }

    def held(self) -> dict[str, str | bool]:
        """Return what it had in hand, for a log line; nothing if it waited."""
        work = self.in_hand
        held: dict[str, str | bool] = {
            "stage": work.stage,
            "plugin": work.plugin,
            "spool_id": work.spool_id,
            "alone": work.alone,
        }
        return {k: v for k, v in held.items() if v} if work.stage else {}

    def summary(self) -> str:
        """Return one line for ``otrsd status``."""
        work = self.in_hand
        named = (("in", work.stage), ("plugin", work.plugin), ("mail", work.spool_id))
        held = " ".join(f"{word} {value}" for word, value in named if value)
        return f"{self.cause}, {held}" if held else self.cause


class Child:
    """One role's process, through all its lives."""

    def __init__(self, line: RoleLine, index: int, slot: Slot, clock: Clock) -> None:
        self.line = line
        self.slot_index = index
        self._slot = slot
        self._clock = clock
        self._backoff = Backoff()
        #: 0 while no process is known.
        self.pid = 0
        #: Whether a start has been ordered and no death been reported since.
        self.ordered = False
        #: Whether a stop has been ordered.
        self.asked = False
        #: Why we have killed it ourselves; empty if we have not.
        self.killed_for = ""
        #: Monotonic time of the next start.
        self.due = clock.monotonic()
        self._lives = 0
        self._predecessor: Work | None = None
        self._born = 0.0
        self._since: datetime = clock.now()
        self._last_death = ""

    @property
    def ready(self) -> bool:
        """Tell whether it lives and does its work."""
        return bool(self.pid) and self._slot.ready

    def in_hand(self) -> InHand | None:
        """Return what it has in hand right now."""
        return self._slot.read() if self.ordered else None

    def order_start(self) -> Work | None:
        """Note that a start is ordered; return the predecessor's Work to hand on."""
        self._slot.clear()
        self.ordered, self.asked, self.killed_for = True, False, ""
        self._lives += 1
        self._born, self._since = self._clock.monotonic(), self._clock.now()
        return self._predecessor

    def died(
        self, cause: str, code: int = 0, *, innocent: bool = False, said: str = ""
    ) -> Death:
        """Note its death and say when it is due again.

        ``innocent``: it died because everything stops; nobody follows up on that.
        """
        held = self._slot.read()
        work = held.work if held else Work()
        if innocent or self.asked or self._slot.asked or code == -signal.SIGTERM:
            self._predecessor = None
        elif held:
            self._predecessor = held.work
        elif self._slot.ready:
            # It has done the bookkeeping for the one before, and had nothing since.
            self._predecessor = None
        lived = self._clock.monotonic() - self._born
        delay = self._backoff.delay(lived, over_a_mail=work.alone and bool(held))
        death = Death(
            name=self.line.name,
            pid=self.pid,
            cause=self.killed_for or cause,
            seconds_alive=round(lived, 3),
            in_hand=work,
            restart_in=delay,
            said=said,
        )
        self.pid, self.ordered = 0, False
        self.due = self._clock.monotonic() + delay
        self._since, self._last_death = self._clock.now(), death.summary()
        return death

    def status(self) -> ProcessStatus:
        """Return what ``otrsd status`` shows."""
        held = self.in_hand()
        work = held.work if held else Work()
        return ProcessStatus(
            name=self.line.name,
            pid=self.pid,
            state=self._state(),
            since=self._since.isoformat(timespec="seconds"),
            restarts=max(0, self._lives - 1),
            stage=work.stage,
            plugin=work.plugin,
            spool_id=work.spool_id,
            last_death=self._last_death,
        )

    def _state(self) -> str:
        if not self.ordered:
            return "stopped" if self.asked else "waiting"
        if self.asked:
            return "stopping"
        return "ready" if self.ready else "starting"


def cause_of(code: int) -> str:
    """Return words for an exit code as ``os.waitstatus_to_exitcode`` gives it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
