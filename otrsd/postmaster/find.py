"""Find: which ticket does this mail belong to, inside the transaction.

First counts our own token (:mod:`otrsd.postmaster.proof`). Without one, a mail joins
a ticket if its sender takes part in it **and** its subject carries the
tag, or References/In-Reply-To name a Message-ID that is stored in it. Somebody who
only quotes a number gets a new ticket that is linked to the quoted one (reliability
K02, K03). Then the plugins' ``find_ticket`` is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otrsd.desk.merging import followed
from otrsd.desk.unit import Unit
from otrsd.errors import NotFoundError
from otrsd.mime.subject import ticket_numbers
from otrsd.model.mail import Mail
from otrsd.model.ticket import Ticket
from otrsd.postmaster.follow_up import judge
from otrsd.postmaster.parts import Found, Postmaster, Screened
from otrsd.postmaster.proof import by_token, reported
from otrsd.postmaster.view import View
from otrsd.store import articles, content, tickets

#: Channels whose writer may die in the middle (design.md §7, Duplicates).
_CUT_OFF = frozenset({"pipe", "socket"})
#: Tickets of the sender that one mail names and that are looked at.
_MOST = 10


def keys(post: Postmaster, screened: Screened) -> set[str]:
    """Return what is to be locked before :func:`find` runs for this mail."""
    mail, trace = screened.mail, screened.trace
    names = {f"mail:{each}" for each in mail.references}
    names.add(content.lock_name(screened.claimed.sha256))
    if mail.message_id:
        names.add(f"mail:{mail.message_id}")
    numbers = ticket_numbers(mail.subject, post.ticket_hook)
    names |= {f"number:{each}" for each in numbers}
    envelope = screened.claimed.envelope
    for answer in post.hooks.ticket_keys(mail, envelope, skip=screened.skip):
        if answer.failure:
            trace.failed("find", answer.plugin, answer.failure)
        names |= {f"{answer.plugin}:{key}" for key in answer.value or ()}
    return names


def find(post: Postmaster, unit: Unit, screened: Screened) -> Found:
    """Return the ticket this mail joins, or what it quotes."""
    return judge(post, unit, screened, _find(post, unit, screened))


def _find(post: Postmaster, unit: Unit, screened: Screened) -> Found:
    trace = screened.trace
    report = reported(post, unit, screened)
    if report is not None:
        return report
    proved = by_token(post, unit, screened)
    if proved is not None:
        stranger = _if_takes_part(unit, proved.id, screened) is None
        who = ", from somebody new" if stranger else ""
        trace.note("find", "token", f"{proved.number}: our own token{who}")
        return Found(ticket=proved, by="token", is_stranger=stranger)
    named = _named(post, unit, screened)
    if named.ticket is not None:
        return named
    completed = _cut_off_copy(unit, screened)
    if completed is not None:
        trace.note("find", "follow-up", f"{completed.number}: a cut-off copy is there")
        return Found(ticket=completed, by="follow-up", completes=True)
    return _asked(post, unit, screened, named.quoted)


def _named(post: Postmaster, unit: Unit, screened: Screened) -> Found:
    """Return the ticket that the mail names and its sender takes part in."""
    candidates = dict(_candidates(post, unit, screened.mail))
    address = sender(screened) if candidates else ""
    his = unit.taking_part([*candidates], address) if address else set()
    among = [each for each in candidates if each in his]
    joined = _chosen(unit, among[:_MOST], screened.into)
    if joined is not None:
        ticket_id, ticket = joined
        what = f"{ticket.number}: {candidates[ticket_id]}"
        screened.trace.note("find", "follow-up", what)
        return Found(ticket=ticket, by="follow-up")
    for ticket_id in [*candidates][:1]:
        quoted = _followed(unit, ticket_id)
        if quoted is not None:
            what = f"{quoted.number}: {candidates[ticket_id]}, but a stranger's mail"
            screened.trace.note("find", "follow-up", what)
            return Found(quoted=quoted)
    return Found()


def _chosen(
    unit: Unit, ticket_ids: Sequence[int], queue: str
) -> tuple[int, Ticket] | None:
    """Return the first ticket; of those that one mail made, the one in ``queue``."""
    best: tuple[int, Ticket] | None = None
    for ticket_id in ticket_ids:
        ticket = _followed(unit, ticket_id)
        if ticket is not None and queue in {"", ticket.queue}:
            return ticket_id, ticket
        if ticket is not None and best is None:
            best = ticket_id, ticket
    return best


def _followed(unit: Unit, ticket_id: int) -> Ticket | None:
    ticket = unit.ticket(ticket_id)
    return None if ticket is None else followed(unit, ticket)


def _asked(
    post: Postmaster, unit: Unit, screened: Screened, quoted: Ticket | None
) -> Found:
    """Ask the plugins; the first that names a ticket wins."""
    trace = screened.trace
    answers = post.hooks.find_ticket(
        screened.mail,
        screened.claimed.envelope,
        lambda plugin: View(unit, plugin),
        skip=screened.skip,
    )
    for answer in answers:
        if answer.failure:
            trace.failed("find", answer.plugin, answer.failure)
            continue
        trace.answered.add(answer.plugin)
        ticket = None if answer.value is None else _followed(unit, answer.value)
        if ticket is not None:
            trace.note("find", answer.plugin, ticket.number or "of this batch")
            return Found(ticket=ticket, by=answer.plugin, quoted=quoted)
    return Found(quoted=quoted)


def _candidates(post: Postmaster, unit: Unit, mail: Mail) -> Iterator[tuple[int, str]]:
    """Give (ticket id, evidence), strongest evidence first, each ticket once."""
    told: set[int] = set()
    for known in articles.by_message_ids(unit.connection, mail.references):
        if known.ticket_id not in told:
            told.add(known.ticket_id)
            yield known.ticket_id, "References name one of its mails"
    for number in ticket_numbers(mail.subject, post.ticket_hook):
        ticket = tickets.by_number(unit.connection, number)
        if ticket is not None and ticket.id not in told:
            told.add(ticket.id)
            yield ticket.id, "the subject carries its number"


def _if_takes_part(unit: Unit, ticket_id: int, screened: Screened) -> Ticket | None:
    """Return the ticket, locked, if the mail's sender takes part in it."""
    address = sender(screened)
    if not address or not unit.is_participant(ticket_id, address):
        return None
    return _followed(unit, ticket_id)


def sender(screened: Screened) -> str:
    """Return who the mail is from, as far as that counts as an identity.

    A From field with defects, or with several mailboxes, gives none. A mail without
    any From field (a bare pipe) is from its reverse-path.
    """
    mail = screened.mail
    if mail.author is not None:
        return mail.author.address
    return "" if mail.from_text else screened.claimed.envelope.mail_from


def _cut_off_copy(unit: Unit, screened: Screened) -> Ticket | None:
    """Return the ticket in which a shorter, cut-off copy of this mail stands."""
    mail, claimed = screened.mail, screened.claimed
    if not mail.message_id or claimed.envelope.channel not in _CUT_OFF:
        return None
    earlier = articles.of_last_message_id(unit.connection, mail.message_id)
    if earlier is None or not earlier.content_sha256:
        return None
    ticket = _if_takes_part(unit, earlier.ticket_id, screened)
    if ticket is None or not _begins(unit, earlier.content_sha256, claimed.content):
        return None
    return ticket


def _begins(unit: Unit, sha256: str, octets: bytes) -> bool:
    """Tell whether ``octets`` begin with that content, and go on."""
    start = 0
    try:
        for piece in content.pieces(unit.connection, sha256):
            if not octets.startswith(piece, start):
                return False
            start += len(piece)
    except NotFoundError:
        # An old mail that is damaged must not stop a new one.
        return False
    return start < len(octets)
