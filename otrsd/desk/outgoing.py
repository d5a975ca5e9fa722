"""Outgoing mail: owed in the transaction that decides it, paid by the relay.

:func:`send` makes the article, stores the octets by sha256 (they can be downloaded
like those of a mail that came in) and owes the mail to the outbox, all in one Unit.
The Message-ID is fixed here: a mail that is sent twice, because the smarthost's answer
got lost, is the same mail both times. The other functions look at what is owed and let
a person retry or drop it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from otrsd.desk import tickets
from otrsd.desk.letterhead import Letterhead
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.unit import Unit
from otrsd.errors import ConflictError, InputError, NotFoundError
from otrsd.mime.compose import Letter, compose, sealed, sendable
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.mail import Address
from otrsd.model.ticket import Ticket
from otrsd.store import articles, content, locks, outbox
from otrsd.store.engine import Connection
from otrsd.store.outbox import Owed

#: Lanes of the outbox: to be sent; waiting for a person after a refusal.
MAIL, DEAD = "mail", "dead-mail"
#: Names of the counters of results.
COUNTER = "outgoing/"
#: Recipients that one mail may have (row O06).
MOST_RECIPIENTS = 50
#: Characters of the outbox's target column.
_TARGET = 190


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What somebody, or something, wants to say."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    #: Without the ticket's tag.
    subject: str
    text: str
    language: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    #: ``auto-replied`` or ``auto-generated``: sent with the null reverse-path.
    automatic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """An outbox row's payload: what the relay must know to send it."""

    #: Reverse-path; empty is the null reverse-path.
    mail_from: str
    rcpt_tos: tuple[str, ...]
    subject: str
    message_id: str
    #: Of the content; empty where ``octets`` has it.
    sha256: str = ""
    octets: str = ""
    ticket_id: int | None = None
    article_id: int | None = None
    automatic: bool = False
    #: When it was first tried (ISO 8601): five days count from here, so that waiting
    #: for a smarthost to be set costs nothing.
    first_try: str = ""

    def to_json(self) -> str:
        """Return the stored form."""
        return json.dumps({name: getattr(self, name) for name in Parcel.__slots__})

    @staticmethod
    def from_json(text: str) -> Parcel:
        """Read the stored form; members this program does not know are ignored."""
        value: dict[str, Any] = json.loads(text)
        known = {name: value[name] for name in Parcel.__slots__ if name in value}
        known["rcpt_tos"] = tuple(known["rcpt_tos"])
        return Parcel(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One outgoing mail as a person sees it in a list."""

    id: int
    rcpt_tos: tuple[str, ...]
    subject: str
    message_id: str
    ticket_id: int | None
    attempts: int
    created_at: datetime | None
    #: ``None`` for one that is given up.
    next_at: datetime | None
    #: Why it is still here; empty before the first try.
    reason: str

    @property
    def is_dead(self) -> bool:
        """Tell whether only a person can bring it on its way again."""
        return self.next_at is None


def send(
    unit: Unit,
    head: Letterhead,
    ticket: Ticket,
    mail: Outgoing,
    who: Who,
    *,
    event: str = "EmailAgent",
) -> int:
    """Owe a mail about a ticket that has its number; return the article's id.

    Raises InputError for an address that mail can't go to, ComposeError for text that
    can't be made a mail; nothing is written then.
    """
    octets, letter = prepared(unit, head, ticket, mail)
    article = article_of(letter, mail)
    article_id = tickets.append(unit, ticket, article, who, event=event)
    owe(unit, head, ticket, article_id, octets, letter)
    return article_id


def prepared(
    unit: Unit, head: Letterhead, ticket: Ticket, mail: Outgoing
) -> tuple[bytes, Letter]:
    """Return the octets but for the Message-ID, and what was composed."""
    sender = head.sender(ticket.queue)
    if sender is None:
        raise InputError(
            f"queue '{ticket.queue}' has no address to write from; give it one "
            f"('queues.{ticket.queue}.address'), or set 'send.from'"
        )
    _check(mail)
    letter = Letter(
        sender=sender,
        to=mail.to,
        cc=mail.cc,
        reply_to=head.reply_to(sender, ticket.number),
        subject=head.subject(ticket.number, mail.subject),
        text=mail.text,
        date=unit.at,
        language=mail.language,
        in_reply_to=mail.in_reply_to,
        references=mail.references,
        automatic=mail.automatic,
        loop=sender.address,
    )
    return compose(letter), letter


def article_of(letter: Letter, mail: Outgoing) -> NewArticle:
    """Return the article of an outgoing mail, before it has its Message-ID."""
    everybody = tuple(each.address for each in (*mail.to, *mail.cc))
    return NewArticle(
        kind=ArticleKind.MAIL_OUT,
        sender_type=SenderType.SYSTEM if mail.automatic else SenderType.AGENT,
        visible_to_customer=True,
        subject=letter.subject,
        text=mail.text,
        from_text=_shown((letter.sender,)),
        to_text=", ".join(each.address for each in mail.to),
        cc_text=", ".join(each.address for each in mail.cc),
        mail={"references": list(letter.references)},
        # Whoever was written to may answer.
        participants=() if mail.automatic else everybody,
    )


def owe(
    unit: Unit,
    head: Letterhead,
    ticket: Ticket,
    article_id: int,
    octets: bytes,
    letter: Letter,
) -> None:
    """Give an article its Message-ID and octets, and owe them to the outbox."""
    message_id = head.tokens.message_id(article_id, unit.at, head.host)
    whole = sealed(octets, message_id)
    sha256 = hashlib.sha256(whole).hexdigest()
    content.put(unit.connection, {sha256: whole})
    articles.complete(unit.connection, article_id, message_id, sha256)
    rcpt_tos = [sendable(each.address) for each in (*letter.to, *letter.cc)]
    parcel = Parcel(
        mail_from="" if letter.automatic else letter.sender.address,
        rcpt_tos=tuple(dict.fromkeys(rcpt_tos)),
        subject=letter.subject,
        message_id=message_id,
        sha256=sha256,
        ticket_id=ticket.id,
        article_id=article_id,
        automatic=bool(letter.automatic),
    )
    post(unit, parcel)


def post(unit: Unit, parcel: Parcel) -> None:
    """Owe a parcel to the outbox."""
    target = parcel.rcpt_tos[0][:_TARGET]
    outbox.add(unit.connection, MAIL, [target], [parcel.to_json()], unit.at)


def outgoing(connection: Connection) -> tuple[Waiting, ...]:
    """Return every mail that is not sent yet, oldest first."""
    return tuple(_waiting(each) for each in outbox.look(connection, [MAIL, DEAD]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Outgoing mail in numbers, for metrics."""

    #: Mails that will be tried; mails that wait for a person.
    waiting: int
    dead: int
    #: ``sent``, ``deferred``, ``dead``: how often, since the database was made.
    results: Mapping[str, int]
    #: Automatic answers that the loop guard kept back.
    stopped: int


def figures(connection: Connection) -> Figures:
    """Return the numbers."""
    owed = outbox.count_kinds(connection)
    results = locks.counted(connection, COUNTER)
    return Figures(
        waiting=owed.get(MAIL, 0),
        dead=owed.get(DEAD, 0),
        results={key: results.get(key, 0) for key in ("sent", "deferred", "dead")},
        stopped=results.get("stopped", 0),
    )


def count(unit: Unit, result: str) -> None:
    """Count a result for the metrics."""
    locks.count_up(unit.connection, f"{COUNTER}{result}", 1)


def retry(unit: Unit, row_id: int) -> Waiting:
    """Let the relay try a mail now; one that was given up has five days again."""
    owed = _seized(unit, row_id)
    parcel = Parcel.from_json(owed.payload)
    if owed.kind == DEAD:
        parcel = replace(parcel, first_try="")
    outbox.move(
        unit.connection,
        owed,
        kind=MAIL,
        payload=parcel.to_json(),
        next_at=unit.at,
        attempts=0 if owed.kind == DEAD else owed.attempts,
        reason=owed.reason,
    )
    return _waiting(_row(unit.connection, row_id))


def drop(unit: Unit, row_id: int, who: Who) -> Waiting:
    """Never send a mail; the ticket's history says who wanted that."""
    owed = _seized(unit, row_id)
    parcel = Parcel.from_json(owed.payload)
    outbox.done(unit.connection, [owed.id])
    ticket = unit.ticket(parcel.ticket_id) if parcel.ticket_id else None
    if ticket is not None:
        data = {"dropped": parcel.message_id, "to": list(parcel.rcpt_tos)}
        tickets.remark(unit, ticket, "Misc", who, data)
    return _waiting(owed)


def _seized(unit: Unit, row_id: int) -> Owed:
    """Return a row that no relay sends at this moment."""
    seized = outbox.seize(unit.connection, row_id, unit.at)
    owed = _row(unit.connection, row_id)
    if not seized:
        raise ConflictError(
            f"outgoing mail {row_id} is being sent right now. "
            "Look in a minute what became of it: otrsd spool list --out"
        )
    return owed


def _row(connection: Connection, row_id: int) -> Owed:
    found = outbox.look(connection, [MAIL, DEAD], row_id=row_id)
    if not found:
        raise NotFoundError(
            f"there is no outgoing mail {row_id}. Try: otrsd spool list --out"
        )
    return found[0]


def _waiting(owed: Owed) -> Waiting:
    parcel = Parcel.from_json(owed.payload)
    return Waiting(
        id=owed.id,
        rcpt_tos=parcel.rcpt_tos,
        subject=parcel.subject,
        message_id=parcel.message_id,
        ticket_id=parcel.ticket_id,
        attempts=owed.attempts,
        created_at=owed.created_at,
        next_at=None if owed.kind == DEAD else owed.next_at,
        reason=owed.reason,
    )


def _check(mail: Outgoing) -> None:
    everybody = (*mail.to, *mail.cc)
    if not mail.to:
        raise InputError("a mail needs somebody it goes to")
    if len(everybody) > MOST_RECIPIENTS:
        raise InputError(
            f"{len(everybody)} recipients are too many; at most {MOST_RECIPIENTS}"
        )
    for each in everybody:
        if not sendable(each.address):
            raise InputError(f"{each.address!r} is no address that mail can go to")


def _shown(addresses: Sequence[Address]) -> str:
    return ", ".join(
        f"{each.name} <{each.address}>" if each.name else each.address
        for each in addresses
    )
