"""What the index does not have yet, and the words it is to have.

Rows are written in the transaction that adds an article (``Unit.index_later``) and
deleted by the index lane after its own commit: at least once, never lost. The same
article twice does no harm. Functions take a connection; they fail as the database
does.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store import part_text
from otrsd.store.tables import article, index_todo, meta, ticket
from otrsd.store.tickets import root

#: Row of ``meta`` with the id that an index remembers as its database's.
_HOME = "index_home"
#: Databases limit the number of bound values in one statement.
_AT_ONCE = 400

_COLUMNS = (
    article.c.id,
    article.c.ticket_id,
    article.c.from_text,
    article.c.to_text,
    article.c.cc_text,
    article.c.subject,
    article.c.text,
    article.c.mail,
    ticket.c.number,
    ticket.c.title,
    ticket.c.merged_into,
)
_ARTICLES = sa.select(*_COLUMNS).join(ticket, ticket.c.id == article.c.ticket_id)
_NEXT = (
    sa.select(article.c.id)
    .where(article.c.id > sa.bindparam("after"))
    .order_by(article.c.id)
)
_OWED = (
    sa.select(index_todo.c.id, index_todo.c.article_id)
    .where(index_todo.c.id > sa.bindparam("after"))
    .order_by(index_todo.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One row: an article whose words the index is to have."""

    id: int
    article_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """An article's words, as SQL has them."""

    article_id: int
    #: The ticket that is found by it: another one once its own is merged.
    ticket_id: int
    number: str
    title: str
    sender: str
    recipients: str
    subject: str
    body: str
    #: Names and words of the attachments.
    attachments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far the index is behind."""

    count: int
    #: Since when the oldest row waits; ``None`` where none does.
    oldest: datetime | None


def owed(connection: Connection, *, limit: int, after: int = 0) -> list[Owed]:
    """Return the oldest rows behind ``after``, as many as fit into memory."""
    rows = connection.execute(_OWED.limit(limit), {"after": after})
    found = [Owed(id=row.id, article_id=row.article_id) for row in rows]
    ids = [each.article_id for each in found]
    return found[: part_text.fitting(connection, ids)] if found else found


def newest(connection: Connection) -> int:
    """Return the id of the newest row; 0 where there is none. Cheap: one look."""
    return connection.execute(sa.select(sa.func.max(index_todo.c.id))).scalar() or 0


def texts(connection: Connection, article_ids: Sequence[int]) -> list[Text]:
    """Return the words of those of these articles that exist."""
    found: list[Text] = []
    ids = sorted(set(article_ids))
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = connection.execute(_ARTICLES.where(article.c.id.in_(some))).all()
        words = part_text.texts(connection, some)
        found += [_text(connection, row, words.get(row.id, "")) for row in rows]
    return sorted(found, key=lambda text: text.article_id)


def texts_after(connection: Connection, after: int, *, limit: int) -> list[Text]:
    """Return the words of the next articles behind ``after``, by id."""
    ids = list(connection.execute(_NEXT.limit(limit), {"after": after}).scalars())
    return texts(connection, ids[: part_text.fitting(connection, ids)]) if ids else []


def count_articles(connection: Connection) -> int:
    """Return how many articles there are."""
    return connection.execute(sa.select(sa.func.count(article.c.id))).scalar() or 0


def newest_article(connection: Connection) -> int:
    """Return the greatest article id there is."""
    return connection.execute(sa.select(sa.func.max(article.c.id))).scalar() or 0


def add(connection: Connection, article_ids: Sequence[int], at: datetime) -> None:
    """Owe the index these articles once more."""
    rows = [{"article_id": each, "created_at": at} for each in article_ids]
    if rows:
        connection.execute(sa.insert(index_todo), rows)


def delete(connection: Connection, ids: Sequence[int]) -> None:
    """Forget rows that are done."""
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        connection.execute(sa.delete(index_todo).where(index_todo.c.id.in_(some)))


def lag(connection: Connection) -> Lag:
    """Return how many articles wait, and since when."""
    row = connection.execute(
        sa.select(sa.func.count(index_todo.c.id), sa.func.min(index_todo.c.created_at))
    ).one()
    return Lag(count=row[0], oldest=row[1])


def home(connection: Connection) -> str:
    """Return the id by which an index knows this database; empty: none yet."""
    value = connection.execute(
        sa.select(meta.c.value).where(meta.c.name == _HOME)
    ).scalar()
    return str(value) if value else ""


def give_home(connection: Connection) -> str:
    """Return the same, inside a write transaction; make one where there is none."""
    found = home(connection)
    if not found:
        found = secrets.token_hex(8)
        connection.execute(sa.insert(meta).values(name=_HOME, value=found))
    return found


def _text(connection: Connection, row: Any, words: str) -> Text:
    is_merged = row.merged_into is not None
    return Text(
        article_id=row.id,
        ticket_id=root(connection, row.merged_into) if is_merged else row.ticket_id,
        number=row.number or "",
        title=row.title,
        sender=row.from_text,
        recipients=f"{row.to_text} {row.cc_text}" if row.cc_text else row.to_text,
        subject=row.subject,
        body=row.text,
        attachments=" ".join((*_names(row.mail), words)),
    )


def _names(mail: str) -> Iterator[str]:
    """Yield the attachments' names; most mails have none, so look before reading."""
    if '"name": "' not in mail:
        return
    for part in json.loads(mail).get("parts", ()):
        if part.get("name"):
            yield part["name"]
