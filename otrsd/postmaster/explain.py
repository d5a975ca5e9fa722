"""Explain: who decided what about a mail, from its stored trace or by a dry run.

A dry run makes the whole journey in a transaction that is rolled back: it is the
real thing but for its effects. What a stored trace leaves out, the rules that did
not match, is worked out again from the configuration that was in force then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn

from otrsd.config.load import recall
from otrsd.desk.unit import Unit
from otrsd.errors import NotFoundError
from otrsd.language.rules import Rules, Tried, compile_rules
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail
from otrsd.model.ticket import Ticket
from otrsd.model.verdict import Disposition
from otrsd.postmaster.again import read_again
from otrsd.postmaster.amend import LEFT_OUT
from otrsd.postmaster.deliver import Batch, carry, dedup_keys
from otrsd.postmaster.parts import Fate, Postmaster, Screened
from otrsd.postmaster.screen import screen
from otrsd.postmaster.trace import Step, steps
from otrsd.spool import Claimed
from otrsd.store import articles, content, ledger, traces, trash


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is told of one mail."""

    mail: Mail
    envelope: Envelope
    steps: tuple[Step, ...]
    #: Every rule, matched or not; ``None`` where the rules of then are not kept.
    rules: tuple[Tried, ...] | None
    #: The end of it, in words.
    end: str
    #: Whether nothing of it has happened.
    is_dry: bool


class _NothingHappenedError(Exception):
    """Rolls a dry run back."""


def dry_run(post: Postmaster, octets: bytes, envelope: Envelope) -> Explanation:
    """Tell what would become of a mail, and leave nothing behind."""
    claimed = Claimed(
        id="0" * 26,
        envelope=envelope,
        content=octets,
        sha256=sha256(octets).hexdigest(),
        size=len(octets),
        strikes=0,
        tries=0,
        alone=True,
        without=frozenset(),
        released=False,
    )
    screened = screen(post, claimed)
    end, ticket = _end(post, screened)
    return Explanation(
        mail=screened.mail,
        envelope=envelope,
        steps=steps(screened.trace.stored),
        rules=post.rules.explain(screened.mail, envelope, ticket),
        end=end,
        is_dry=True,
    )


def stored(post: Postmaster, spool_id: str) -> Explanation:
    """Tell what became of a delivered mail, from its trace."""
    with post.desk.database.read() as connection:
        found = traces.read(connection, spool_id)
        entry = ledger.read(connection, [spool_id]).get(spool_id)
        if found is None or entry is None:
            raise NotFoundError(
                f"there is no trace of the mail {spool_id}. Try: otrsd spool list"
            )
        octets = content.read(connection, entry.sha256)
        facts = articles.facts(connection, entry.article_id or 0)
        article = articles.by_id(connection, entry.article_id or 0)
    envelope = _envelope_of(post, spool_id)
    text = article.text if article else ""
    mail = read_again(post.senders, octets, envelope, facts, text)
    snapshot, kept = found
    rules = _rules_of(post, snapshot)
    told = steps(kept)
    return Explanation(
        mail=mail,
        envelope=envelope,
        steps=told,
        rules=rules.explain(
            mail,
            envelope,
            without=[step.who for step in told if step.what == LEFT_OUT],
            # What is in a ticket was let pass by whoever could have held it.
            released=entry.outcome != ledger.TRASH,
        )
        if rules
        else None,
        end=_told(entry),
        is_dry=False,
    )


def spool_ids(post: Postmaster, name: str) -> Sequence[str]:
    """Return the mails that a spool id, ticket number or Message-ID names."""
    with post.desk.database.read() as connection:
        if ledger.read(connection, [name]):
            return (name,)
        by_ticket = articles.spool_ids_of_number(connection, name)
        if by_ticket:
            return by_ticket
        message_id = name if name.startswith("<") else f"<{name}>"
        return articles.spool_ids_of_message_id(connection, message_id)


def _end(post: Postmaster, screened: Screened) -> tuple[str, Ticket | None]:
    """Make the journey, roll it back, and say where it ended."""
    if screened.unscreened:
        plugin = next(iter(screened.unscreened))
        return f"would wait: plugin {plugin} gave no verdict", None
    if screened.verdict.disposition is Disposition.HOLD:
        return f"would be held: {screened.verdict.reason}", None
    told: list[tuple[str, Ticket | None]] = []
    with suppress(_NothingHappenedError), post.desk.unit() as unit:
        told.append(_journey(post, unit, screened))
        _roll_back()
    return told[0]


def _roll_back() -> NoReturn:
    """Leave a unit so that nothing of it stays."""
    raise _NothingHappenedError


def _journey(
    post: Postmaster, unit: Unit, screened: Screened
) -> tuple[str, Ticket | None]:
    since = unit.at - post.dedup_window
    keys = dedup_keys(post, [screened])
    known = articles.by_dedup_keys(unit.connection, keys, since)
    outcome = carry(post, unit, Batch(known=known), screened)
    ticket = unit.ticket(outcome.ticket_id) if outcome.ticket_id else None
    if outcome.fate is Fate.HELD:
        return f"would be held: {outcome.reason}", None
    if outcome.fate is Fate.TRASH:
        return f"would be discarded: {outcome.reason}", None
    if ticket is None:
        return f"would end as {outcome.fate}", None
    if outcome.fate is Fate.DUPLICATE:
        return f"would be dropped: a copy is in ticket {ticket.number}", ticket
    if outcome.is_new:
        kind = f"{ticket.state}, priority {ticket.priority}"
        return f"would open a ticket in {ticket.queue}, {kind}", None
    return f"would join ticket {ticket.number}, then {ticket.state}", ticket


def _rules_of(post: Postmaster, snapshot: str) -> Rules | None:
    """Return the rules as they were then; ``None`` where they are not kept."""
    if snapshot == post.snapshot:
        return post.rules
    with post.desk.database.read() as connection:
        files = traces.read_snapshot(connection, snapshot)
    if files is None:
        return None
    then = recall(json.dumps(files, ensure_ascii=False))
    return compile_rules(then.rules, queues=then.queues)


def _envelope_of(post: Postmaster, spool_id: str) -> Envelope:
    with post.desk.database.read() as connection:
        text = articles.envelope_of(connection, spool_id)
        text = text or trash.envelope_of(connection, spool_id)
    if text is None:
        return Envelope(received_at=post.desk.clock.now())
    return Envelope.from_json(text)


def _told(entry: ledger.Entry) -> str:
    if entry.outcome == ledger.TRASH:
        return "discarded: it is in the trash"
    if entry.outcome == ledger.DUPLICATE:
        return f"dropped: a copy of article {entry.article_id}"
    return f"article {entry.article_id}"
