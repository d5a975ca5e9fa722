"""Article rows ↔ :class:`~otrsd.model.article.Article`, and what mails are known by."""

from __future__ import annotations

import hashlib
import json
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


def of_ticket(connection: Connection, ticket_id: int) -> list[Article]:
    """Return a ticket's articles, oldest first."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(article.c.ticket_id == ticket_id)
        .order_by(article.c.id)
    )
    return [_article(row) for row in rows]


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
    return _known(connection, article.c.dedup_key, keys, since)


def by_message_ids(
    connection: Connection, message_ids: Sequence[str]
) -> tuple[Known, ...]:
    """Return the articles that have these Message-IDs, in the order given."""
    keys = [message_key(each) for each in message_ids]
    found = _known(connection, article.c.message_key, keys, None)
    return tuple(found[key] for key in keys if key in found)


def of_last_message_id(connection: Connection, message_id: str) -> Article | None:
    """Return the newest article with this very Message-ID."""
    row = connection.execute(
        sa.select(*_COLUMNS)
        .where(article.c.message_key == message_key(message_id))
        .order_by(article.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else _article(row)


def ticket_number_of(connection: Connection, article_id: int) -> str | None:
    """Return the number of the ticket an article stands in."""
    return connection.execute(
        sa.select(ticket.c.number)
        .join(article, article.c.ticket_id == ticket.c.id)
        .where(article.c.id == article_id)
    ).scalar()


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


def _known(
    connection: Connection,
    column: sa.Column[Any],
    keys: Iterable[str],
    since: datetime | None,
) -> dict[str, Known]:
    wanted = list(keys)
    if not wanted:
        return {}
    statement = (
        sa.select(
            column.label("key"),
            article.c.ticket_id,
            article.c.id,
            article.c.content_sha256,
            article.c.created_at,
        )
        .where(column.in_(wanted))
        .order_by(article.c.id)
    )
    if since is not None:
        statement = statement.where(article.c.created_at >= since)
    return {
        row.key: Known(
            ticket_id=row.ticket_id,
            article_id=row.id,
            content_sha256=row.content_sha256,
            created_at=row.created_at,
        )
        for row in connection.execute(statement)
    }


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
