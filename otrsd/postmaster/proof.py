"""Proof: whether a mail carries a token of ours, or reports about a mail of ours.

In: a screened mail, inside the transaction. Out: the ticket that a true token names,
while it is active or was closed at most 90 days ago (reliability.md §3.4). A token in
References, In-Reply-To or the reply address makes a follow-up, whoever sent it.

A report about delivery joins as an internal note: by our Message-ID somewhere in its
octets; by the Message-ID of a mail that we sent under another one; or by the ticket
hook in the returned subject, if the recipient takes part in that ticket. Anybody can
write the last of these: it makes a note, marks no address and changes nothing, nor
does what becomes of a mail that nobody here has written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from otrsd.desk.letterhead import Letterhead
from otrsd.desk.merging import followed
from otrsd.desk.tokens import Claim, in_address, in_text
from otrsd.desk.unit import Unit
from otrsd.mime.automatic import REPORTS, Kind
from otrsd.mime.subject import ticket_numbers
from otrsd.model.article import Article, ArticleKind, SenderType
from otrsd.model.report import Report
from otrsd.model.ticket import Ticket
from otrsd.postmaster.parts import Found, Postmaster, Screened
from otrsd.store import articles, tickets

#: How long a token outlives its ticket.
GRACE = timedelta(days=90)
#: Octets of a report in which the Message-ID is looked for.
_READ = 256 * 1024
#: Claims that are looked at; a hostile mail makes thousands.
_CLAIMS = 20
_LARGEST_ID = 2**63 - 1
#: The ticket, and the mail of ours, that a report is about.
_About = tuple[Ticket, Article | None] | None
#: Kinds that quote the mail that they are about.
_REPORTING = REPORTS | {Kind.RECEIPT}


def by_token(post: Postmaster, unit: Unit, screened: Screened) -> Ticket | None:
    """Return the ticket whose token the mail carries."""
    head = post.letterhead
    if head is None:
        return None
    for claim in _claims(" ".join(screened.mail.references)):
        found = _proved(unit, head, claim)
        if found is not None:
            return found[0]
    for claim in _in_recipients(head, screened):
        if head.tokens.proves_ticket(claim):
            named = tickets.by_number(unit.connection, claim.name)
            ticket = None if named is None else _living(unit, named.id)
            if ticket is not None:
                return ticket
    return None


def reported(post: Postmaster, unit: Unit, screened: Screened) -> Found | None:
    """Return the ticket, and the article, that a report is about."""
    recognised = screened.recognised
    if recognised.kind not in _REPORTING:
        return None
    report = recognised.report or Report()
    found = (
        _reported_by_token(post, unit, screened)
        or _reported_by_id(unit, report)
        or _reported_by_hook(post, unit, report)
    )
    if found is None:
        return None
    ticket, article = found
    screened.trace.note("find", "report", f"{ticket.number}: {recognised.kind}")
    return Found(
        ticket=ticket,
        by="report",
        about=article.id if article else None,
        bounced=_unreachable(report, article),
        inert=_weakness(ticket, article),
    )


def _weakness(ticket: Ticket, article: Article | None) -> str:
    """Return why a report changes nothing but adds itself; empty: it may."""
    if article is None:
        return "only a subject names the ticket, and anybody can write one (K02)"
    if article.sender_type is SenderType.SYSTEM and not ticket.is_active:
        return "it is about an automatic mail"
    return ""


def _reported_by_token(post: Postmaster, unit: Unit, screened: Screened) -> _About:
    head = post.letterhead
    if head is None:
        return None
    octets = screened.claimed.content[:_READ]
    proved = (_proved(unit, head, c) for c in _claims(octets.decode("latin-1")))
    return next((each for each in proved if each), None)


def _reported_by_id(unit: Unit, report: Report) -> _About:
    """Return the mail with that Message-ID, if we have sent it.

    Of other mails somebody may know the Message-ID who is no recipient of ours.
    """
    ids = [report.message_id] if report.message_id else []
    for known in articles.by_message_ids(unit.connection, ids)[:_CLAIMS]:
        article = articles.by_id(unit.connection, known.article_id)
        if article is None or article.kind is not ArticleKind.MAIL_OUT:
            continue
        ticket = _living(unit, article.ticket_id)
        if ticket is not None:
            return ticket, article
    return None


def _reported_by_hook(post: Postmaster, unit: Unit, report: Report) -> _About:
    people = [each.address for each in report.recipients if each.address]
    for number in ticket_numbers(report.subject, post.ticket_hook):
        named = tickets.by_number(unit.connection, number)
        if named is None or not any(unit.is_participant(named.id, p) for p in people):
            continue
        ticket = _living(unit, named.id)
        if ticket is not None:
            return ticket, None
    return None


def is_own(post: Postmaster, unit: Unit, screened: Screened) -> bool:
    """Tell whether a mail of ours has come back as it was: a loop."""
    head, mail = post.letterhead, screened.mail
    if head is None:
        return False
    for claim in _claims(mail.message_id):
        if _proved(unit, head, claim) is not None:
            return True
    mark = (mail.header("X-Otrsd-Loop") or "").strip()
    if mark and head.is_ours(mark):
        return True
    return mail.author is not None and head.is_ours(mail.author.address)


def _claims(text: str) -> Iterator[Claim]:
    told: dict[Claim, None] = {}
    for claim in in_text(text):
        if claim not in told:
            told[claim] = None
            yield claim
        if len(told) >= _CLAIMS:
            return


def _proved(
    unit: Unit, head: Letterhead, claim: Claim
) -> tuple[Ticket, Article] | None:
    if int(claim.name) > _LARGEST_ID:
        return None
    article = articles.by_id(unit.connection, int(claim.name))
    if article is None or not head.tokens.proves_article(claim, article.created_at):
        return None
    ticket = _living(unit, article.ticket_id)
    return None if ticket is None else (ticket, article)


def _living(unit: Unit, ticket_id: int) -> Ticket | None:
    """Return the ticket, or where it was merged, if its tokens still count."""
    ticket = unit.ticket(ticket_id)
    if ticket is None:
        return None
    ticket = followed(unit, ticket)
    closed = tickets.closed_at(unit.connection, ticket.id)
    return ticket if closed is None or unit.at - closed <= GRACE else None


def _in_recipients(head: Letterhead, screened: Screened) -> Iterator[Claim]:
    written = (each.address for each in (*screened.mail.to, *screened.mail.cc))
    told = (*screened.claimed.envelope.rcpt_tos, *written)
    for address in list(dict.fromkeys(told))[:_CLAIMS]:
        if head.is_ours(address):
            yield from in_address(address, head.delimiter)


def _unreachable(report: Report, article: Article | None) -> tuple[str, ...]:
    """Return the dead addresses to which our mail itself went."""
    if article is None:
        return ()
    sent_to = f"{article.to_text},{article.cc_text}".lower().split(",")
    known = {each.strip() for each in sent_to}
    dead = (each.address.lower() for each in report.recipients if each.is_hard)
    return tuple(dict.fromkeys(each for each in dead if each in known))
