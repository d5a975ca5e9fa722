"""Article rows ↔ :class:`~otrsd.model.article.Article`, and what mails are known by."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.model.article import Article, ArticleKind, SenderType
from otrsd.store.tables import article, ticket

_COLUMNS = (
    article.c.id,
    article.c.ticket_id,
    article.c.kind,
    article.c.sender_type,
    article.c.visible_to_customer,
    article.c.created_at,
    article.c.from_text,
    article.c.to_text,
    article.c.cc_text,
    article.c.subject,
    article.c.text,
    article.c.message_id,
    article.c.content_sha256,
    article.c.spool_id,
)
_INSERT = sa.insert(article)
#: Articles that the Message-IDs of one mail may name.
MOST_NAMED = 500
#: Tickets of a customer in which it is looked for whether somebody wrote to him.
_LAST_TICKETS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Where a mail that we have seen is stored."""

    ticket_id: int
    article_id: int
    content_sha256: str
    created_at: datetime


def message_key(message_id: str) -> str:
    """Return the key under which a Message-ID is indexed (128 bits of sha256)."""
    return hashlib.sha256(message_id.encode("utf-8", "replace")).hexdigest()[:32]


def insert(connection: Connection, values: Mapping[str, Any]) -> int:
    """Add one article; return its id."""
    key = connection.execute(_INSERT, dict(values)).inserted_primary_key
    if key is None:
        raise AssertionError("an article was inserted without a key")
    return int(key[0])


def first_of_ticket(connection: Connection, ticket_id: int) -> int | None:
    """Return the id of a ticket's oldest article."""
    return connection.execute(
        sa.select(sa.func.min(article.c.id)).where(article.c.ticket_id == ticket_id)
    ).scalar()


def complete(
    connection: Connection, article_id: int, message_id: str, sha256: str
) -> None:
    """Name what an outgoing mail is; its Message-ID tells the article's own id."""
    connection.execute(
        sa.update(article)
        .where(article.c.id == article_id, article.c.message_key.is_(None))
        .values(
            message_id=message_id,
            message_key=message_key(message_id),
            content_sha256=sha256,
        )
    )


def retitle(connection: Connection, article_id: int, subject: str, text: str) -> None:
    """Let the first article of a ticket name the number, in the same transaction."""
    connection.execute(
        sa.update(article)
        .where(article.c.id == article_id)
        .values(subject=subject, text=text)
    )


def facts(connection: Connection, article_id: int) -> Mapping[str, Any]:
    """Return what is stored of a mail beside its text: parts, thread, envelope."""
    found = connection.execute(
        sa.select(article.c.mail).where(article.c.id == article_id)
    ).scalar()
    return dict(json.loads(found)) if found else {}


def of_ticket(connection: Connection, *ticket_ids: int) -> list[Article]:
    """Return the articles of a ticket, or of several as one, oldest first."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(article.c.ticket_id.in_(ticket_ids))
        .order_by(article.c.id)
    )
    return [_article(row) for row in rows]


def ids_of_tickets(connection: Connection, ticket_ids: Sequence[int]) -> list[int]:
    """Return the ids of all articles of these tickets."""
    rows = connection.execute(
        sa.select(article.c.id)
        .where(article.c.ticket_id.in_(ticket_ids))
        .order_by(article.c.id)
    )
    return list(rows.scalars())


def by_id(connection: Connection, article_id: int) -> Article | None:
    """Return one article."""
    row = connection.execute(
        sa.select(*_COLUMNS).where(article.c.id == article_id)
    ).first()
    return None if row is None else _article(row)


def by_dedup_keys(
    connection: Connection, keys: Iterable[str], since: datetime
) -> dict[str, Known]:
    """Return the newest article for each key, of those made after ``since``."""
    wanted = list(keys)
    if not wanted:
        return {}
    statement = _having(article.c.dedup_key, wanted)
    rows = connection.execute(statement.where(article.c.created_at >= since))
    return {row.key: _where(row) for row in rows}


def by_message_ids(
    connection: Connection, message_ids: Sequence[str]
) -> tuple[Known, ...]:
    """Return the articles with these Message-IDs: in the order given, oldest first.

    One Message-ID can stand in several tickets: anybody can send a mail that repeats
    one. At most ``MOST_NAMED`` articles are looked at, the oldest ones.
    """
    keys = [message_key(each) for each in message_ids]
    statement = _having(article.c.message_key, keys).limit(MOST_NAMED)
    found: defaultdict[str, list[Known]] = defaultdict(list)
    for row in connection.execute(statement) if keys else ():
        found[row.key].append(_where(row))
    return tuple(known for key in dict.fromkeys(keys) for known in found[key])


def of_last_message_id(connection: Connection, message_id: str) -> Article | None:
    """Return the newest article with this very Message-ID."""
    row = connection.execute(
        sa.select(*_COLUMNS)
        .where(article.c.message_key == message_key(message_id))
        .order_by(article.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else _article(row)


def was_written_to(connection: Connection, customer: str) -> bool:
    """Tell whether somebody here has written to this customer, in his last tickets."""
    # A robot has thousands; this is asked in the transaction of each of its mails.
    last = (
        sa.select(ticket.c.id)
        .where(ticket.c.customer == customer)
        .order_by(ticket.c.id.desc())
        .limit(_LAST_TICKETS)
        .subquery()
    )
    found = (
        sa.select(article.c.id)
        .join(last, last.c.id == article.c.ticket_id)
        .where(
            article.c.sender_type == SenderType.AGENT.value,
            article.c.visible_to_customer == 1,
        )
    )
    return connection.execute(found.limit(1)).first() is not None


def spool_ids_of_number(connection: Connection, number: str) -> tuple[str, ...]:
    """Return the spool ids of a ticket's mails, oldest first."""
    rows = connection.execute(
        sa.select(article.c.spool_id)
        .join(ticket, article.c.ticket_id == ticket.c.id)
        .where(ticket.c.number == number, article.c.spool_id != "")
        .order_by(article.c.id)
    )
    return tuple(rows.scalars())


def spool_ids_of_message_id(connection: Connection, message_id: str) -> tuple[str, ...]:
    """Return the spool ids of the mails with this Message-ID, oldest first."""
    rows = connection.execute(
        sa.select(article.c.spool_id)
        .where(article.c.message_key == message_key(message_id))
        .order_by(article.c.id)
    )
    return tuple(rows.scalars())


def envelope_of(connection: Connection, spool_id: str) -> str | None:
    """Return the stored envelope (JSON) of a delivered mail."""
    found = connection.execute(
        sa.select(article.c.mail).where(article.c.spool_id == spool_id)
    ).scalar()
    return None if found is None else json.dumps(json.loads(found)["envelope"])


def mails_of_ticket(
    connection: Connection, *ticket_ids: int
) -> Mapping[int, Mapping[str, Any]]:
    """Return parts, defects and envelope of each article's mail, by article."""
    rows = connection.execute(
        sa.select(article.c.id, article.c.mail).where(
            article.c.ticket_id.in_(ticket_ids)
        )
    )
    return {row.id: json.loads(row.mail) if row.mail else {} for row in rows}


def _having(column: sa.Column[Any], keys: Sequence[str]) -> sa.Select[Any]:
    """Select where the articles stand whose ``column`` is one of ``keys``."""
    return (
        sa.select(
            column.label("key"),
            article.c.ticket_id,
            article.c.id,
            article.c.content_sha256,
            article.c.created_at,
        )
        .where(column.in_(keys))
        .order_by(article.c.id)
    )


def _where(row: Any) -> Known:
    return Known(
        ticket_id=row.ticket_id,
        article_id=row.id,
        content_sha256=row.content_sha256,
        created_at=row.created_at,
    )


def _article(row: Any) -> Article:
    return Article(
        id=row.id,
        ticket_id=row.ticket_id,
        kind=ArticleKind(row.kind),
        sender_type=SenderType(row.sender_type),
        visible_to_customer=bool(row.visible_to_customer),
        created_at=row.created_at,
        from_text=row.from_text,
        to_text=row.to_text,
        cc_text=row.cc_text,
        subject=row.subject,
        text=row.text,
        message_id=row.message_id,
        content_sha256=row.content_sha256,
        spool_id=row.spool_id,
    )
