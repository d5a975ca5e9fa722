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
from otrsd.postmaster.amend import Fold, amend
from otrsd.postmaster.find import find, keys, sender
from otrsd.postmaster.parts import Fate, Found, Outcome, Postmaster, Screened
from otrsd.postmaster.proof import is_own
from otrsd.postmaster.relate import link_copies
from otrsd.postmaster.split import parts
from otrsd.postmaster.write import (
    discard,
    duplicate,
    remember_only,
    write,
)
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
    before = batch.seen.get(each.claimed.id)
    if before is not None:
        return _seen(each, before)
    first, *others = parts(post, each)
    outcome = _carry(post, unit, batch, first)
    if outcome.fate is Fate.HELD:
        return outcome
    if outcome.fate is not Fate.TRASH:
        for other in others:
            _carry(post, unit, batch, other)
    unit.trace(each.claimed.id, each.trace.stored, post.snapshot)
    return outcome


def _carry(post: Postmaster, unit: Unit, batch: Batch, each: Screened) -> Outcome:
    """The way of a mail, or of its part for one queue."""
    claimed, mail = each.claimed, each.mail
    if each.verdict.disposition is Disposition.DISCARD:
        outcome = discard(post, unit, each, each.cause, each.verdict.reason)
    elif mail.dedup_key and mail.dedup_key in batch.known:
        outcome = duplicate(unit, each, batch.known[mail.dedup_key])
    else:
        outcome = _decide(post, unit, batch, each)
    key = each.key or mail.dedup_key
    if outcome.article_id is not None and key:
        batch.known[key] = Known(
            ticket_id=outcome.ticket_id or 0,
            article_id=outcome.article_id,
            content_sha256=claimed.sha256,
            created_at=unit.at,
        )
    return outcome


def _decide(post: Postmaster, unit: Unit, batch: Batch, each: Screened) -> Outcome:
    if is_own(post, unit, each):
        mail = replace(each.mail, kind=_LOOP.kind)
        each = replace(each, mail=mail, recognised=_LOOP)
        who = sender(each) or each.claimed.envelope.mail_from
        # A mail counts once, however many parts it has.
        is_counted = not (each.part or each.claimed.released)
        if is_counted and came_back(unit, who):
            return Outcome(
                spool_id=each.claimed.id,
                fate=Fate.HELD,
                reason=f"a loop: more mails of our own came back from {who}",
                failures=each.trace.failures,
            )
    found = find(post, unit, each)
    fold = amend(post, unit, each, found)
    siblings = [batch.known[key] for key in each.siblings if key in batch.known]
    there = _already_in(unit, siblings, found, fold)
    if there is not None or (each.part and (fold.discard or fold.hold)):
        return _left_out(unit, each, there)
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
    outcome = write(post, unit, each, found, fold)
    if outcome.is_new and siblings:
        link_copies(unit, outcome.ticket_id or 0, siblings)
    return outcome


def _already_in(
    unit: Unit, siblings: Sequence[Known], found: Found, fold: Fold
) -> Known | None:
    """Return the other part of this mail that is where this one would go."""
    for sibling in siblings:
        ticket = unit.ticket(sibling.ticket_id)
        if ticket is None:
            continue
        if found.ticket is None and ticket.queue == (fold.values.queue or fold.routed):
            return sibling
        if found.ticket is not None and ticket.id == found.ticket.id:
            return sibling
    return None


def _left_out(unit: Unit, each: Screened, there: Known | None) -> Outcome:
    """Answer for a part that the first one has done already."""
    if there is not None:
        return duplicate(unit, each, there)
    each.trace.note("write", "otrsd", f"no part of its own for queue {each.into}")
    return Outcome(spool_id=each.claimed.id, fate=Fate.DUPLICATE)


def _seen(each: Screened, before: ledger.Entry) -> Outcome:
    """Answer for a mail that was delivered before its spool row went."""
    if before.sha256 == each.claimed.sha256:
        return Outcome(spool_id=each.claimed.id, fate=Fate.SEEN)
    reason = "its spool id was used before for other content: a restored spool?"
    return Outcome(spool_id=each.claimed.id, fate=Fate.HELD, reason=reason)


def _look(post: Postmaster, unit: Unit, mails: Sequence[Screened]) -> Batch:
    ids = [each.claimed.id for each in mails]
    since = unit.at - post.dedup_window
    # Nearly always all are there: only an equal mail that left the trash since they
    # were stored has taken them along.
    content.put(unit.connection, {e.claimed.sha256: e.claimed.content for e in mails})
    if post.snapshot:
        # One indexed look; writes only after the configuration has changed.
        traces.keep_snapshot(unit.connection, post.snapshot, post.files, unit.at)
    return Batch(
        seen=dict(ledger.read(unit.connection, ids)),
        known=articles.by_dedup_keys(unit.connection, dedup_keys(post, mails), since),
    )


def dedup_keys(post: Postmaster, mails: Sequence[Screened]) -> set[str]:
    """Return the keys under which copies of these mails may be here."""
    if not post.one_ticket_per_queue:
        return {each.mail.dedup_key for each in mails if each.mail.dedup_key}
    known = [each for each in mails if each.mail.dedup_key]
    firsts = [parts(post, each)[0] for each in known]
    return {key for part in firsts for key in (part.mail.dedup_key, *part.siblings)}


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
