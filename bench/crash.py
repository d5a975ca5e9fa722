"""Kill -9 while mail comes in, again and again; then count.

Twelve clients send without pause, and two mailboxes are emptied (``bench.senders``).
Every second or so one process dies: at a named failpoint (a file of its name in a
folder that all processes look at), or just then, while a mail is in somebody's hand;
now and then the whole group at once, which is then started anew. In the end everything
drains, the daemon stops in order, and the clients' ledger is compared with what there
is (``bench.reckoning``).
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.ledger import Reader
from bench.mailboxes import accounts
from bench.reckoning import Reckoning, drain, reckon
from bench.sabotaged import SABOTAGES
from bench.senders import RULE, Senders, Spec
from bench.site import OTRSD, Daemon, Wishes, composed, free_ports, make_site
from bench.talk import say
from bench.waiting import CLOCK, NotInTimeError, pause, until
from otrsd.app import App
from otrsd.errors import OtrsdError
from otrsd.failpoint import FAILPOINTS
from otrsd.spool import State
from otrsd.store import index_todo

#: Victims of kills at random; the group more often, for it costs most.
VICTIMS = ("receiver", "postmaster-1", "postmaster-2", "index", "group", "group")
#: So many mails are acknowledged between two kills, or so many seconds pass.
CALM_MAILS, CALM_SECONDS = 40, 4.0
#: Seconds that a failpoint gets until somebody passes it.
ARMED = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for."""

    seconds: float = 90.0
    seed: int = 1
    sabotage: str = ""
    database: str = ""


@dataclass(slots=True)
class Toll:
    """The kills so far."""

    #: Victim or failpoint → how often.
    kills: Counter[str] = field(default_factory=Counter)
    #: Kills at random whose victim had no mail in hand.
    idle: int = 0
    #: Failpoints that nobody passed while they were armed.
    not_passed: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how many there were."""
        return self.kills.total()


def plan(order: Order) -> Iterator[str]:
    """Yield what to do next, for ever: a failpoint, or a victim."""
    if order.sabotage:
        while True:
            yield SABOTAGES[order.sabotage].shown_at
    chance = random.Random(order.seed)
    while True:
        points, victims = list(FAILPOINTS), list(VICTIMS)
        chance.shuffle(points)
        chance.shuffle(victims)
        # Two failpoints, then one at random.
        while points:
            yield points.pop()
            if points:
                yield points.pop()
            if victims:
                yield victims.pop()


class Crash:
    """One run."""

    def __init__(self, folder: Path, order: Order) -> None:
        self._order = order
        self._armed = folder / "armed"
        self._armed.mkdir()
        self._environ = {"OTRSD_FAILPOINT_DIR": str(self._armed)}
        imap, pop3 = free_ports(2)
        self._ports = {"imap": imap, "pop3": pop3}
        more = RULE + accounts((imap, pop3))
        wishes = Wishes(workers=2, database=order.database, more=more)
        self.site = make_site(folder / "site", wishes)
        command: Sequence[str] = OTRSD
        if order.sabotage:
            command = [sys.executable, "-m", "bench.sabotaged", order.sabotage]
        self.daemon = Daemon(self.site, environ=self._environ, command=command)
        self.ledger = Reader(folder / "ledger")
        self.toll = Toll()
        self._chance = random.Random(order.seed + 1)

    def run(self) -> Reckoning:
        """Torture, drain, stop, count."""
        with ExitStack() as stack:
            stack.callback(self.daemon.kill)
            self.daemon.start()
            app = stack.enter_context(composed(self.site))
            senders = self._send()
            stack.callback(senders.kill)
            self._kill_until(CLOCK.monotonic() + self._order.seconds, app)
            self._disarm()
            senders.finish()
            drain(app)
            code = self.daemon.stop()
            if code != 0:
                raise NotInTimeError(f"the daemon stopped with exit {code}")
            found = reckon(app, self.ledger.read())
        say(self._told())
        return found

    def _send(self) -> Senders:
        spec = Spec(
            smtp=self.site.smtp,
            lmtp=self.site.lmtp,
            config=str(self.site.config),
            ledger=str(self.ledger.path),
            seed=self._order.seed,
            **self._ports,
        )
        return Senders(spec, {**os.environ, **self._environ})

    def _kill_until(self, end: float, app: App) -> None:
        for what in plan(self._order):
            self._calm(end)
            if CLOCK.monotonic() >= end:
                return
            if what in FAILPOINTS:
                self._kill_at(what)
            elif what == "group":
                self._kill_group(app)
            else:
                self._kill_role(what, app)

    def _calm(self, end: float) -> None:
        """Let some mails through, so that everybody works again."""
        before = len(self.ledger.read().acks)
        until_when = min(end, CLOCK.monotonic() + CALM_SECONDS)
        while CLOCK.monotonic() < until_when:
            if len(self.ledger.read().acks) >= before + CALM_MAILS:
                return
            pause(0.05)

    def _kill_at(self, point: str) -> None:
        """Arm a failpoint and wait until somebody has died of it."""
        file = self._armed / point
        file.touch()
        with suppress(NotInTimeError):
            until(point, lambda: not file.exists(), seconds=ARMED, every=0.005)
        if file.exists():
            file.unlink(missing_ok=True)
            self.toll.not_passed.append(point)
            return
        self._note(point)
        # One in five takes everybody with it.
        if not self._order.sabotage and self._chance.random() < 0.2:
            self._restart()

    def _kill_role(self, role: str, app: App) -> None:
        self._await_work(role, app)
        pid = self.daemon.roles().get(role, 0)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self._note(role)

    def _kill_group(self, app: App) -> None:
        self._await_work("group", app)
        self._note("group")
        self._restart()

    def _restart(self) -> None:
        self.daemon.kill()
        self.daemon.start()

    def _await_work(self, role: str, app: App) -> None:
        """Wait for a moment at which the victim has a mail in hand."""

        def has_work() -> bool:
            with suppress(OtrsdError):
                if role == "receiver":
                    return self.ledger.read().open > 0
                if role == "index":
                    with app.database.read() as connection:
                        return index_todo.newest(connection) > 0
                return bool(app.spool.counts().get(State.ACTIVE))
            return False

        try:
            until("there is work", has_work, seconds=2.0, every=0.002)
        except NotInTimeError:
            self.toll.idle += 1

    def _note(self, what: str) -> None:
        self.toll.kills[what] += 1
        self.toll.times.append(CLOCK.monotonic())

    def _disarm(self) -> None:
        for file in self._armed.iterdir():
            file.unlink(missing_ok=True)

    def _told(self) -> str:
        kills = ", ".join(f"{what} {n}" for what, n in sorted(self.toll.kills.items()))
        lines = [
            f"{self.toll.count} kills ({kills})",
            f"{self.toll.idle} of them with no mail in the victim's hand",
            f"{self._rate():.0f} mails/s acknowledged between kills",
        ]
        if self.toll.not_passed:
            lines.append(f"nobody passed: {', '.join(self.toll.not_passed)}")
        if self.ledger.later:
            told = ", ".join(f"{n} of {r}" for r, n in self.ledger.later.most_common(5))
            lines.append(f"asked to come again: {told}")
        return "\n".join(lines)

    def _rate(self) -> float:
        """Return acknowledged mails a second, from each first one to the next kill."""
        times = sorted(self.ledger.acks.values())
        mails, seconds = 0, 0.0
        for start, end in zip(self.toll.times, self.toll.times[1:], strict=False):
            inside = [each for each in times if start < each < end]
            if inside:
                mails += len(inside)
                seconds += end - inside[0]
        return mails / seconds if seconds else 0.0
