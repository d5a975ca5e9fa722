"""The postmaster's worker: claims mails, carries them, settles what became of them.

One worker is one process. It claims a batch, screens it, delivers it in one or more
short transactions and then settles each mail with the spool. What goes wrong:

* the database is away → the batch goes back, without a try; the worker waits;
* the spool can't be written → the same, as soon as it can;
* any other error → the batch is redone one mail at a time, right here; a mail that
  fails alone is deferred, and held after its third try;
* this process dies or overruns → the supervisor starts another one and tells it
  what was in hand (``predecessor``), and the spool counts a strike or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from otrsd import memory
from otrsd.control import Control, Work
from otrsd.counters import MAIL_SECONDS, RULE_SECONDS, TICKETS_CREATED
from otrsd.desk.notices import tell_admin
from otrsd.errors import DatabaseAwayError, OtrsdError, TemporaryError
from otrsd.failpoint import failpoint
from otrsd.hooks import Hooks
from otrsd.implementations import described
from otrsd.model.verdict import Disposition
from otrsd.postmaster.deliver import deliver, store_contents
from otrsd.postmaster.parts import Fate, Outcome, Postmaster, Screened
from otrsd.postmaster.screen import screen
from otrsd.spool import Claimed, Spool
from otrsd.store.engine import is_contended

#: Mails claimed at once.
BATCH = 50
#: Seconds a worker rests when the spool is empty.
REST = 0.05
#: Seconds between two tries while the database is away: the first, the longest.
AWAY_FIRST, AWAY_LONGEST = 0.5, 5.0
#: Seconds between two looks at which plugins are switched off.
HEALTH = 1.0
#: When a mail that failed alone is tried again; after the last it is held.
RETRY_AFTER = (timedelta(seconds=2), timedelta(seconds=10))
#: Seconds a hook may take before the worker is ended (design.md §7).
LIMITS = {
    "screen_mail": 30.0,
    "ticket_keys": 1.0,
    "find_ticket": 1.0,
    "choose_queue": 1.0,
    "amend_ticket": 1.0,
}
#: Seconds a mail may take outside the transaction.
OUTSIDE = 30.0


@dataclass(slots=True)
class Hand:
    """What this worker has in hand, told to its supervisor at each step."""

    control: Control
    base: Work = Work()  # noqa: RUF009 - a frozen value

    def take(self, stage: str, claimed: Claimed | None, limit: float) -> None:
        """Begin a step with one mail, or with several (``None``)."""
        self.base = Work(
            stage=stage,
            spool_id=claimed.id if claimed else "",
            alone=claimed.alone if claimed else False,
            limit=limit,
        )
        self.control.note(self.base)

    def rest(self) -> None:
        """Put everything down."""
        self.base = Work()
        self.control.note(self.base)

    def watch(self, hook: str, plugin: str) -> None:
        """Name the plugin whose code runs now; called by Hooks."""
        if not plugin:
            self.control.note(self.base)
            return
        work = Work(
            stage=hook,
            spool_id=self.base.spool_id,
            alone=self.base.alone,
            plugin=plugin,
            limit=LIMITS.get(hook, OUTSIDE),
        )
        self.control.note(work)


class Worker:
    """One worker's loop."""

    def __init__(
        self, post: Postmaster, spool: Spool, control: Control, log: Any
    ) -> None:
        self._spool = spool
        self._control = control
        self._log = log
        self._clock = post.desk.clock
        self._hand = Hand(control)
        self._counters = post.counters
        self._post = replace(
            post,
            hooks=Hooks(post.hooks.plugins, self._hand.watch, counters=post.counters),
            rules=post.rules.timed(self._clock.monotonic, self._rule_took),
        )
        self._away = AWAY_FIRST
        self._failing: frozenset[str] = frozenset()
        self._off: dict[str, datetime] = {}
        self._looked = -HEALTH
        #: What of the batch in hand the spool has not been told about.
        self._open: dict[str, Claimed] = {}
        #: Whether the spool could not be told what became of its mails.
        self._stranded = False

    def run(self) -> None:
        """Carry mails until a stop is asked for."""
        while not self._control.stopping():
            if not self.turn():
                self._control.wait(REST)

    def turn(self) -> bool:
        """Claim and carry one batch; tell whether there was one."""
        try:
            return self._claim_and_carry()
        except TemporaryError as error:
            # The spool's disk is full or away. What was in hand stays leased until
            # the spool can be written again; to die of it would help nobody.
            self._log.warning("spool.away", reason=str(error))
            self._stranded = True
            self._control.wait(AWAY_FIRST)
            return True

    def _claim_and_carry(self) -> bool:
        if self._stranded:
            self._spool.put_down(self._control.name)
            self._stranded = False
        batch = self._spool.claim(self._control.name, BATCH, now=self._clock.now())
        if not batch:
            return False
        failpoint("worker.claimed")
        is_large = sum(each.size for each in batch) > memory.LARGE
        self.carry(batch)
        if is_large:
            del batch
            memory.give_back()
        return True

    def carry(self, batch: Sequence[Claimed]) -> None:
        """Carry claimed mails to their ends; raise only if the spool is away."""
        self._open = {each.id: each for each in batch}
        try:
            self._look_at_plugins()
            mails = list(self._screened(batch))
            failpoint("worker.screened")
            rest: Sequence[Screened] = mails
            store_contents(self._post, mails)
            while rest:
                alone = rest[0].claimed if len(rest) == 1 else None
                # No strike for a database that is slow: the limit is generous,
                # and each hook inside sets its own.
                self._hand.take("desk", alone, 2 * OUTSIDE)
                start = self._clock.monotonic()
                outcomes, rest = deliver(self._post, rest)
                self._took("desk", start, len(outcomes))
                self._settle(outcomes)
            self._away = AWAY_FIRST
        except DatabaseAwayError as error:
            self._wait_for_database(error)
        except TemporaryError:
            raise
        except Exception as error:  # noqa: BLE001 - nothing may stop the next mail
            self._redo(error)
        finally:
            self._hand.rest()

    def _screened(self, batch: Iterable[Claimed]) -> Iterable[Screened]:
        """Screen each mail; give those that go on to the desk."""
        for claimed in batch:
            waits = self._waits_for(claimed)
            if waits is not None:
                self._defer(claimed, *waits, tried=False)
                continue
            self._hand.take("screen", claimed, OUTSIDE)
            start = self._clock.monotonic()
            mail = screen(self._post, claimed, frozenset(self._off))
            self._took("screen", start)
            if mail.unscreened and not claimed.released:
                self._unscreened(mail)
            elif mail.verdict.disposition is Disposition.HOLD:
                reason = f"{mail.cause}: {mail.verdict.reason}"
                self._hold(claimed.id, reason)
            else:
                yield mail

    def _waits_for(self, claimed: Claimed) -> tuple[str, datetime] | None:
        """Return why and until when a mail waits: a screen plugin is switched off."""
        if claimed.released or not self._off:
            return None
        for plugin in self._post.hooks.plugins_with("screen_mail"):
            until = self._off.get(plugin)
            if until is not None and plugin not in claimed.without:
                return f"plugin {plugin} is switched off: no verdict yet", until
        return None

    def _unscreened(self, mail: Screened) -> None:
        """No verdict is not a clean verdict: wait for one, hold in the end."""
        for plugin, failure in mail.unscreened.items():
            self._plugin_failed(plugin, failure, mail.claimed.id)
        plugin, failure = next(iter(mail.unscreened.items()))
        self._fail(mail.claimed, f"plugin {plugin} gave no verdict: {failure}")

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Tell the spool what became of its mails, and write one line for each."""
        gone = [each.spool_id for each in outcomes if each.fate is not Fate.HELD]
        self._count(outcomes)
        if gone:
            self._spool.done(gone)
            for spool_id in gone:
                self._open.pop(spool_id, None)
            failpoint("worker.spool_done")
        for each in outcomes:
            for plugin, failure in each.failures.items():
                self._plugin_failed(plugin, failure, each.spool_id)
            for plugin in self._failing.intersection(each.answered):
                self._spool.plugin_recovered(plugin)
                self._failing -= {plugin}
            if each.fate is Fate.HELD:
                self._hold(each.spool_id, each.reason)
            else:
                self._tell(each)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        now = self._clock.now()
        for each in outcomes:
            claimed = self._open.get(each.spool_id)
            if claimed is None:
                continue
            age = (now - claimed.envelope.received_at).total_seconds()
            self._counters.observe(MAIL_SECONDS, "whole", seconds=max(0.0, age))
            if each.is_new and each.fate is Fate.ARTICLE:
                channel = claimed.envelope.channel
                self._counters.count(TICKETS_CREATED, each.queue, channel)

    def _took(self, stage: str, start: float, mails: int = 1) -> None:
        seconds = self._clock.monotonic() - start
        for _ in range(mails):
            self._counters.observe(MAIL_SECONDS, stage, seconds=seconds / mails)

    def _rule_took(self, rule: str, seconds: float) -> None:
        self._counters.count(RULE_SECONDS, rule, by=seconds)

    def _tell(self, outcome: Outcome) -> None:
        event = {
            Fate.ARTICLE: "ticket.created" if outcome.is_new else "ticket.updated",
            Fate.TRASH: "mail.discarded",
            Fate.DUPLICATE: "mail.duplicate",
        }.get(outcome.fate, "mail.seen")
        self._log.info(
            event,
            mail_id=outcome.spool_id,
            ticket_id=outcome.ticket_id,
            queue=outcome.queue,
            reason=outcome.reason,
        )

    def _hold(self, spool_id: str, reason: str) -> None:
        self._spool.hold(spool_id, reason)
        self._open.pop(spool_id, None)
        self._log.warning(
            "mail.held",
            mail_id=spool_id,
            reason=reason,
            look=f"otrsd spool show {spool_id}",
        )
        self._tell_admin("A mail is held", reason, f"otrsd spool show {spool_id}")

    def _tell_admin(self, what: str, reason: str, look: str, cause: str = "") -> None:
        """Mail the admin; that it fails stops nothing."""
        post = self._post
        if post.letterhead is None:
            return
        try:
            tell_admin(
                post.desk,
                post.letterhead,
                what=what,
                reason=reason,
                look=look,
                cause=cause,
            )
        except OtrsdError as error:
            self._log.warning("admin.not_told", reason=str(error))

    def _fail(self, claimed: Claimed, reason: str) -> None:
        """Count a try that failed; the third one holds the mail."""
        if claimed.tries >= len(RETRY_AFTER):
            self._hold(claimed.id, f"{reason} (try {claimed.tries + 1})")
            return
        until = self._clock.now() + RETRY_AFTER[claimed.tries]
        self._defer(claimed, reason, until, tried=True)

    def _defer(
        self, claimed: Claimed, reason: str, until: datetime, *, tried: bool
    ) -> None:
        self._spool.defer(claimed.id, reason, until, tried=tried)
        self._open.pop(claimed.id, None)

    def _plugin_failed(self, plugin: str, failure: str, spool_id: str) -> None:
        off = self._spool.plugin_failed(plugin, failure)
        self._failing |= {plugin}
        self._log.error(
            "plugin.failed",
            plugin=plugin,
            mail_id=spool_id,
            reason=failure,
            switched_off=off,
        )
        if off:
            what = f"Plugin {plugin} is switched off for five minutes"
            self._tell_admin(what, failure, "otrsd status", cause=what)
        self._looked = -HEALTH

    def _look_at_plugins(self) -> None:
        """Learn, at most once a second, which plugins are switched off."""
        now = self._clock.monotonic()
        if now - self._looked < HEALTH:
            return
        self._looked = now
        health = self._spool.plugin_health()
        self._failing |= {each.name for each in health}
        self._off = {
            each.name: each.off_until
            for each in health
            if each.off_until is not None and each.off_until > self._clock.now()
        }

    def _wait_for_database(self, error: DatabaseAwayError) -> None:
        """Give what is left back without a try; wait a little longer each time."""
        self._log.warning("database.away", reason=str(error), mails=len(self._open))
        self._spool.give_back(list(self._open), alone=False)
        self._hand.rest()
        self._control.wait(self._away)
        self._away = min(self._away * 2, AWAY_LONGEST)

    def _redo(self, error: Exception) -> None:
        """Redo what is left of a failed batch one mail at a time, without strikes."""
        left = list(self._open.values())
        reason = described(error)
        if len(left) != 1:
            self._log.warning("batch.redone", mails=len(left), reason=reason)
            self._one_by_one(left)
            return
        if is_contended(error):
            # Others were in the way, which says nothing about this mail.
            self._log.warning("database.contended", mail_id=left[0].id, reason=reason)
            until = self._clock.now() + RETRY_AFTER[0]
            self._defer(left[0], reason, until, tried=False)
            return
        self._log.error("mail.failed", mail_id=left[0].id, reason=reason)
        self._fail(left[0], f"otrsd failed: {reason}"[:500])

    def _one_by_one(self, left: Sequence[Claimed]) -> None:
        """Carry each mail alone, until the database is away or a stop is asked for."""
        for n, claimed in enumerate(left):
            if self._is_away or self._control.stopping():
                rest = [each.id for each in left[n:]]
                self._spool.give_back(rest, alone=False)
                return
            self.carry((claimed,))

    @property
    def _is_away(self) -> bool:
        """Tell whether the database was away when it was last asked."""
        return self._away > AWAY_FIRST
