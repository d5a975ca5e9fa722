"""Proof: whether a mail carries a token of ours, or reports about a mail of ours.

In: a screened mail, inside the transaction. Out: the ticket that a true token names,
while it is active or was closed at most 90 days ago (reliability.md §3.4). A token in
References, In-Reply-To or the reply address makes a follow-up, whoever sent it. A
report about delivery (RFC 3464) quotes our Message-ID somewhere in its octets; it
joins as an internal note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from otrsd.desk.letterhead import Letterhead
from otrsd.desk.merging import followed
from otrsd.desk.tokens import Claim, in_address, in_text
from otrsd.desk.unit import Unit
from otrsd.mime.automatic import Kind
from otrsd.model.article import Article
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
_REPORTS = frozenset({Kind.BOUNCE, Kind.DELAYED, Kind.DELIVERED})
_FINAL = re.compile(
    rb"^final-recipient:[ \t]*rfc822;[ \t]*<?([!-~]{3,254}?)>?[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)


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
    """Return the ticket of the mail that a delivery report is about."""
    head = post.letterhead
    if head is None or screened.recognised.kind not in _REPORTS:
        return None
    octets = screened.claimed.content[:_READ]
    for claim in _claims(octets.decode("latin-1")):
        found = _proved(unit, head, claim)
        if found is not None:
            ticket, article = found
            kind = screened.recognised.kind
            screened.trace.note("find", "report", f"{ticket.number}: {kind}")
            bounced = _unreachable(octets, article) if kind is Kind.BOUNCE else ""
            return Found(ticket=ticket, by="report", bounced=bounced)
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


def _unreachable(octets: bytes, article: Article) -> str:
    """Return the failed recipient, if our mail went to that very address."""
    sent_to = {each.strip().lower() for each in article.to_text.split(",")}
    sent_to |= {each.strip().lower() for each in article.cc_text.split(",")}
    for found in _FINAL.findall(octets):
        address: str = found.decode("ascii").lower()
        if address in sent_to:
            return address
    return ""
