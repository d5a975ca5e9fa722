"""Deliver: the journey of a batch of mails onto the desk, top to bottom.

In: mails that :mod:`otrsd.postmaster.screen` has parsed and judged, and whose
octets :func:`store_contents` has stored. Out: one
:class:`~otrsd.postmaster.parts.Outcome` for each mail that was carried, after the
commit. One write transaction, no I/O inside but its own; it lasts at most
``BATCH_SECONDS`` and gives back what did not fit. Any error leaves nothing behind:
the worker then redoes the batch one mail at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from otrsd.desk.loops import came_back
from otrsd.desk.unit import Unit
from otrsd.failpoint import failpoint
from otrsd.mime.automatic import Kind, Recognised
from otrsd.model.verdict import Disposition
from otrsd.postmaster.amend import amend
from otrsd.postmaster.find import find, keys, sender
from otrsd.postmaster.parts import Fate, Outcome, Postmaster, Screened
from otrsd.postmaster.proof import is_own
from otrsd.postmaster.write import discard, duplicate, remember_only, write
from otrsd.store import articles, content, ledger, locks, traces
from otrsd.store.articles import Known
from otrsd.store.engine import Database

#: How long a batch may keep other writers waiting (design.md §7, Write door).
BATCH_SECONDS = 0.045
#: What an auto-response adds to that at the end, when its ticket has a number.
ACT_SECONDS = 0.004
#: A mail of ours that came back: no answer to it.
_LOOP = Recognised(kind=Kind.TICKET_SYSTEM, mark="a mail of our own")


@dataclass(slots=True, kw_only=True)
class Batch:
    """What one look at the database told about all mails of a batch."""

    #: spool id → what became of it before.
    seen: dict[str, ledger.Entry] = field(default_factory=dict)
    #: dedup key → the mail that is here already; grows with the batch.
    known: dict[str, Known] = field(default_factory=dict)


def deliver(
    post: Postmaster, mails: Sequence[Screened]
) -> tuple[list[Outcome], Sequence[Screened]]:
    """Carry ``mails`` in order; return outcomes and the mails there was no time for."""
    outcomes: list[Outcome] = []
    # A journey that is redone tells only what its last try decided.
    tries = [replace(each, trace=each.trace.copy()) for each in mails]
    locked = sorted({key for each in tries for key in keys(post, each)})
    with post.desk.unit() as unit:
        start = post.desk.clock.monotonic()
        locks.lock(unit.connection, locked)
        batch = _look(post, unit, tries)
        failpoint("worker.in_transaction")
        for each in tries:
            outcomes.append(carry(post, unit, batch, each))
            lasted = post.desk.clock.monotonic() - start
            if lasted + unit.acts * ACT_SECONDS > BATCH_SECONDS:
                break
        failpoint("worker.before_commit")
    failpoint("worker.after_commit")
    return outcomes, mails[len(outcomes) :]


def carry(post: Postmaster, unit: Unit, batch: Batch, each: Screened) -> Outcome:
    """One mail's way: seen, screened, known, find, route, amend, write."""
    claimed, mail = each.claimed, each.mail
    before = batch.seen.get(claimed.id)
    if before is not None:
        return _seen(each, before)
    if each.verdict.disposition is Disposition.DISCARD:
        outcome = discard(post, unit, each, each.cause, each.verdict.reason)
    elif mail.dedup_key and mail.dedup_key in batch.known:
        outcome = duplicate(unit, each, batch.known[mail.dedup_key])
    else:
        outcome = _decide(post, unit, each)
    if outcome.fate is Fate.HELD:
        return outcome
    unit.trace(claimed.id, each.trace.stored, post.snapshot)
    if outcome.article_id is not None and mail.dedup_key:
        batch.known[mail.dedup_key] = Known(
            ticket_id=outcome.ticket_id or 0,
            article_id=outcome.article_id,
            content_sha256=claimed.sha256,
            created_at=unit.at,
        )
    return outcome


def _decide(post: Postmaster, unit: Unit, each: Screened) -> Outcome:
    if is_own(post, unit, each):
        mail = replace(each.mail, kind=_LOOP.kind)
        each = replace(each, mail=mail, recognised=_LOOP)
        who = sender(each) or each.claimed.envelope.mail_from
        if not each.claimed.released and came_back(unit, who):
            return Outcome(
                spool_id=each.claimed.id,
                fate=Fate.HELD,
                reason=f"a loop: more mails of our own came back from {who}",
                failures=each.trace.failures,
            )
    found = find(post, unit, each)
    fold = amend(post, unit, each, found)
    if fold.discard:
        remember_only(unit, fold)
        return discard(post, unit, each, fold.cause, fold.discard)
    if fold.hold:
        return Outcome(
            spool_id=each.claimed.id,
            fate=Fate.HELD,
            reason=f"{fold.cause}: {fold.hold}",
            failures=each.trace.failures,
        )
    return write(post, unit, each, found, fold)


def _seen(each: Screened, before: ledger.Entry) -> Outcome:
    """Answer for a mail that was delivered before its spool row went."""
    if before.sha256 == each.claimed.sha256:
        return Outcome(spool_id=each.claimed.id, fate=Fate.SEEN)
    reason = "its spool id was used before for other content: a restored spool?"
    return Outcome(spool_id=each.claimed.id, fate=Fate.HELD, reason=reason)


def _look(post: Postmaster, unit: Unit, mails: Sequence[Screened]) -> Batch:
    ids = [each.claimed.id for each in mails]
    dedup = {each.mail.dedup_key for each in mails if each.mail.dedup_key}
    since = unit.at - post.dedup_window
    # Nearly always all are there: only an equal mail that left the trash since they
    # were stored has taken them along.
    content.put(unit.connection, {e.claimed.sha256: e.claimed.content for e in mails})
    if post.snapshot:
        # One indexed look; writes only after the configuration has changed.
        traces.keep_snapshot(unit.connection, post.snapshot, post.files, unit.at)
    return Batch(
        seen=dict(ledger.read(unit.connection, ids)),
        known=articles.by_dedup_keys(unit.connection, dedup, since),
    )


def store_contents(post: Postmaster, mails: Sequence[Screened]) -> None:
    """Store the octets in transactions of their own, so that the batch is short.

    They are compressed before, and go a piece of 1 MiB at a time: nobody else waits
    longer than for that.
    """
    database = post.desk.database
    octets = {each.claimed.sha256: each.claimed.content for each in mails}
    with database.read() as connection:
        names = sorted(content.absent(connection, octets))
    rows: list[dict[str, object]] = []
    waiting = 0
    for row in chain.from_iterable(content.packed(n, octets[n]) for n in names):
        rows.append(row)
        waiting += len(row["data"])  # type: ignore[arg-type]  # octets
        if waiting >= content.PIECE:
            _store(database, rows)
            rows, waiting = [], 0
    _store(database, rows)


def _store(database: Database, rows: Sequence[dict[str, object]]) -> None:
    if rows:
        with database.write() as connection:
            content.add(connection, rows)
