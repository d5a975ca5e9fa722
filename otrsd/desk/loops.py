"""Loop guard: whether an automatic mail may go to an address now (RFC 3834).

In: what is known of the mail that is to be answered, and the counts of earlier
automatic mails. Out: the reason why not, or nothing. Asked only inside the transaction
that would owe the mail, so that two workers never both count up to the cap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from otrsd.desk.letterhead import Letterhead
from otrsd.desk.unit import Unit
from otrsd.mime.automatic import Recognised
from otrsd.mime.compose import sendable
from otrsd.model.ticket import Ticket
from otrsd.store import tally
from otrsd.store.articles import was_written_to

#: Automatic mails (reliability.md §5): per address and ticket; per address in an hour
#: and a day; to all in a minute.
PER_TICKET, PER_HOUR, PER_DAY, PER_MINUTE = 1, 5, 20, 60
#: Per day to an address that nobody here has written to yet: whoever forges it must
#: not have us write to it time and again (row K09).
PER_DAY_UNKNOWN = 1
#: How long an address that has bounced so often gets no automatic mail.
MUTED, BOUNCES = timedelta(days=60), 2
#: Mails of our own that may come back in an hour before one is held.
LOOPS_PER_HOUR = 3
#: Addresses behind which there is no person.
_ROLES = re.compile(
    r"(?:mailer-daemon|postmaster|abuse|root|bounces?|listserv|majordomo"
    r"|(?:do[-_.]?)?no[-_.]?t?[-_.]?reply.*|owner-.*|.*-owner|.*-request"
    r"|.*-bounces?(?:\+.*)?)@",
    re.IGNORECASE,
)


class Kind(StrEnum):
    """Which automatic answer; the value is its type in the history."""

    RECEIVED = "SendAutoReply"
    #: To a mail that a closed ticket takes no more.
    REJECT = "SendAutoReject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who would be answered, and about what."""

    ticket: Ticket
    address: str
    recognised: Recognised
    kind: Kind = Kind.RECEIVED
    #: Whether the author's domain disowns the mail: its sender is forged.
    dmarc_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why no automatic mail goes out."""

    reason: str
    #: Whether a cap was reached: somebody should look.
    capped: bool = False


def why_not(unit: Unit, head: Letterhead, question: Question) -> Refusal | None:
    """Return why no automatic mail may go out; ``None``: it may."""
    reason = _by_the_mail(head, question)
    if reason:
        return Refusal(reason=reason)
    had = tally.answered(
        unit.connection, question.address, question.ticket.id, unit.at, MUTED
    )
    reason = _by_the_counts(unit, question, had)
    if reason:
        return Refusal(reason=reason, capped=True)
    if had.in_day < PER_DAY_UNKNOWN or was_written_to(
        unit.connection, question.address
    ):
        return None
    # No note for a person: who writes twice on his first day is nothing to look at.
    return Refusal(
        reason=f"{PER_DAY_UNKNOWN} automatic mail in a day is the most to somebody "
        "whom nobody here has written to"
    )


def count_answer(unit: Unit, question: Question) -> None:
    """Remember that an automatic mail went out."""
    # A ticket has one answer of each kind; hours and days count both together.
    is_reject = question.kind is Kind.REJECT
    of_ticket = None if is_reject else question.ticket.id
    tally.add(unit.connection, tally.ANSWER, question.address, unit.at, of_ticket)
    if is_reject:
        address, ticket_id = question.address, question.ticket.id
        tally.add(unit.connection, tally.REJECT, address, unit.at, ticket_id)


def count_bounce(unit: Unit, address: str, ticket: Ticket) -> None:
    """Remember that an address does not exist, by a report about a mail of ours."""
    tally.add(unit.connection, tally.BOUNCED, address, unit.at, ticket.id)


def came_back(unit: Unit, address: str) -> bool:
    """Count a mail of our own that came back; tell whether it is one too many."""
    since = unit.at - timedelta(hours=1)
    if tally.count(unit.connection, tally.LOOP, who=address, since=since) >= (
        LOOPS_PER_HOUR
    ):
        return True
    tally.add(unit.connection, tally.LOOP, address, unit.at)
    return False


def _by_the_mail(head: Letterhead, question: Question) -> str:
    address = question.address
    if not question.recognised.is_human:
        return f"{question.recognised.kind}: {question.recognised.mark}"
    if question.dmarc_failed:
        return "DMARC fails: the sender may be forged"
    if not question.ticket.is_active and question.kind is Kind.RECEIVED:
        return f"the ticket is {question.ticket.state}"
    if not sendable(address):
        return "the mail has no sender whom mail can reach"
    if head.is_ours(address) or address.lower() == head.address.lower():
        return f"{address} is an address of ours"
    return f"nobody reads {address}" if _ROLES.match(address) else ""


def _by_the_counts(unit: Unit, question: Question, had: tally.Answered) -> str:
    if had.bounced >= BOUNCES:
        return (
            f"mail to {question.address} has bounced {had.bounced} times "
            f"in the last {MUTED.days} days"
        )
    of_ticket = had.of_ticket
    if question.kind is Kind.REJECT:
        of_ticket = tally.count(
            unit.connection,
            tally.REJECT,
            since=unit.at - tally.KEEP,
            who=question.address,
            ticket_id=question.ticket.id,
        )
    caps = (
        ("of this ticket", PER_TICKET, of_ticket),
        ("in an hour", PER_HOUR, had.in_hour),
        ("in a day", PER_DAY, had.in_day),
    )
    for what, most, count in caps:
        if count >= most:
            return f"{most} automatic mails {what} are the most"
    since = unit.at - timedelta(minutes=1)
    if tally.count(unit.connection, tally.ANSWER, since=since) >= PER_MINUTE:
        return f"{PER_MINUTE} automatic mails in a minute, to all, are the most"
    return ""
