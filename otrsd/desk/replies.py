"""What an agent says: an answer to the customer, a note, a ticket of his own.

Each verb takes a Unit, returns the ticket as it now stands, and raises InputError for
what can't be done, with nothing written. An answer goes where the customer's last mail
wants it (Reply-To, else From; that decides where answers go, never who somebody is)
and carries its thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from otrsd.desk import merging, outgoing, tickets
from otrsd.desk.letterhead import Letterhead
from otrsd.desk.outgoing import Outgoing
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.unit import Unit
from otrsd.errors import InputError
from otrsd.mime.address import parse_addresses
from otrsd.mime.compose import sendable
from otrsd.model.article import Article, ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.model.mail import Address
from otrsd.model.ticket import StateType, Ticket
from otrsd.store import articles


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An agent's answer."""

    text: str
    #: Empty: the customer, as his last mail wants it.
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    #: Empty: ``Re:`` and the ticket's title.
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A ticket that an agent opens."""

    queue: str
    title: str
    text: str
    #: Whom it is about; written to if ``is_mail``, else the text is a note.
    customer: Address | None = None
    is_mail: bool = True
    values: Changes = Changes()  # noqa: RUF009 - a frozen value


def reply(
    unit: Unit, head: Letterhead, ticket: Ticket, answer: Answer, who: Who
) -> Ticket:
    """Answer the customer; a new ticket is open then."""
    if ticket.merged_into is not None:
        raise InputError(
            f"ticket {ticket.number} is merged: answer the one it goes on in. "
            f"Try: otrsd ticket show {ticket.number}"
        )
    last = _last_mail(unit, ticket)
    stored = {} if last is None else articles.facts(unit.connection, last.id)
    to = answer.to or _answered(head, ticket, last, stored)
    if not to:
        raise InputError(
            f"ticket {ticket.number} has nobody to answer; name an address (--to)"
        )
    rest, language = _signature(head, ticket, to[0], who)
    mail = Outgoing(
        to=to,
        cc=answer.cc,
        subject=answer.subject or f"Re: {ticket.title}",
        text=_text(answer.text) + rest,
        language=language,
        in_reply_to="" if last is None else last.message_id,
        references=tuple(map(str, stored.get("references", ()))),
    )
    outgoing.send(unit, head, ticket, mail, who)
    opened = "open" if ticket.state_type is StateType.NEW else None
    return tickets.change(unit, ticket, Changes(state=opened), who)


def note(unit: Unit, ticket: Ticket, text: str, who: Who) -> Ticket:
    """Add an internal note."""
    tickets.append(unit, ticket, _note(text, who), who, event="AddNote")
    return tickets.change(unit, ticket, Changes(), who)


def open_ticket(
    unit: Unit, head: Letterhead, opening: Opening, who: Who
) -> tuple[Ticket, int]:
    """Open a ticket; the customer gets its first text as a mail, if that is wanted.

    The number comes with the commit: ``unit.numbers[ticket.id]`` knows it afterwards.
    """
    opening = replace(opening, text=_text(opening.text))
    if opening.queue not in head.queues:
        known = ", ".join(head.queues)
        raise InputError(f"there is no queue '{opening.queue}'; known: {known}")
    values = replace(
        opening.values,
        queue=opening.queue,
        title=opening.title,
        state=opening.values.state or "open",
    )
    customer = opening.customer
    address = "" if customer is None else customer.address
    if customer is None or not opening.is_mail:
        first = _note(opening.text, who)
        return tickets.create(unit, values, first, who, customer=address)
    draft = Ticket(
        id=0,
        number="",
        title=opening.title,
        queue=opening.queue,
        state="open",
        state_type=StateType.OPEN,
        customer=address,
        created_at=unit.at,
        changed_at=unit.at,
    )
    # What can be wrong with it is told before a ticket is made.
    mail = _opening_mail(head, draft, opening, customer, who)
    _, letter = outgoing.prepared(unit, head, draft, mail)
    first = outgoing.article_of(letter, mail)
    ticket, article_id = tickets.create(unit, values, first, who, customer=address)
    tickets.remark(unit, ticket, "EmailAgent", who, {"to": address})

    def dispatch() -> None:
        named = replace(ticket, number=unit.numbers[ticket.id])
        final = _opening_mail(head, named, opening, customer, who)
        octets, made = outgoing.prepared(unit, head, named, final)
        outgoing.owe(unit, head, named, article_id, octets, made)
        articles.retitle(unit.connection, article_id, made.subject, final.text)

    unit.once_numbered(dispatch)
    return ticket, article_id


def _opening_mail(
    head: Letterhead, ticket: Ticket, opening: Opening, customer: Address, who: Who
) -> Outgoing:
    rest, language = _signature(head, ticket, customer, who)
    return Outgoing(
        to=(customer,),
        subject=opening.title,
        text=opening.text + rest,
        language=language,
    )


def _last_mail(unit: Unit, ticket: Ticket) -> Article | None:
    """Return the customer's last mail that was not a machine's report."""
    unit.flush()
    found = [
        each
        for each in articles.of_ticket(
            unit.connection, *merging.all_of(unit.connection, ticket)
        )
        if each.kind is ArticleKind.MAIL_IN
        and each.sender_type is SenderType.CUSTOMER
        and each.visible_to_customer
    ]
    return found[-1] if found else None


def _answered(
    head: Letterhead, ticket: Ticket, last: Article | None, stored: Mapping[str, Any]
) -> tuple[Address, ...]:
    """Return who is answered: Reply-To, else From, else the customer on file."""
    wanted = [Address(address=str(each)) for each in stored.get("reply_to", ())]
    author = None if last is None else parse_addresses(last.from_text).identity
    for group in (wanted, [author], [Address(address=ticket.customer)]):
        usable = _usable(head, [each for each in group if each is not None])
        if usable:
            return usable[: outgoing.MOST_RECIPIENTS]
    return ()


def _usable(head: Letterhead, addresses: Sequence[Address]) -> tuple[Address, ...]:
    return tuple(
        each
        for each in addresses
        if sendable(each.address) and not head.is_ours(each.address)
    )


def _signature(
    head: Letterhead, ticket: Ticket, customer: Address, who: Who
) -> tuple[str, str]:
    """Return what ends a mail, and the language of the queue."""
    language = head.language_of(ticket.queue)
    name = head.of_queue(ticket.queue).signature
    if not name:
        return "", language
    values = head.values(ticket, customer, who.actor)
    text = head.letters.render(name, language, values).text
    # RFC 3676 §4.3: a signature follows a line of dash, dash, space.
    return f"\n-- \n{text}", language


def _note(text: str, who: Who) -> NewArticle:
    return NewArticle(
        kind=ArticleKind.NOTE,
        sender_type=SenderType.AGENT,
        visible_to_customer=False,
        from_text=who.actor,
        text=_text(text),
    )


def _text(text: str) -> str:
    if not text.strip():
        raise InputError("there is no text; give one (-m TEXT, or on stdin)")
    return text.replace("\0", "\ufffd").rstrip("\n") + "\n"
