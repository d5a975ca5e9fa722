"""The stored originals of a period: every mail that came in, with its octets' name.

In: a time. Out: one :class:`Original` a mail, oldest first within a kind: those in
tickets, then those in the trash. Read in pages, so that a year of mail takes no more
memory than a day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.model.article import ArticleKind
from otrsd.model.envelope import Envelope
from otrsd.store.tables import article, ticket, trash

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """One mail as it came, and where it is now."""

    spool_id: str
    sha256: str
    envelope: Envelope
    #: Of the ticket it is in; empty: it is in the trash.
    number: str = ""
    #: It joined a ticket that was there.
    is_follow_up: bool = False
    #: Its article, and what that keeps of the checks; nothing in the trash.
    article_id: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


def count(connection: Connection, since: datetime) -> int:
    """Return how many there are."""
    kept = sa.select(sa.func.count()).where(*_kept(since))
    thrown = sa.select(sa.func.count()).where(trash.c.created_at >= since)
    return sum(connection.execute(each).scalar() or 0 for each in (kept, thrown))


def each(connection: Connection, since: datetime) -> Iterator[Original]:
    """Give every mail that came in since then."""
    yield from _in_tickets(connection, since)
    yield from _in_trash(connection, since)


def _kept(since: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        article.c.created_at >= since,
        article.c.kind == ArticleKind.MAIL_IN.value,
        article.c.content_sha256 != "",
    )


def _in_tickets(connection: Connection, since: datetime) -> Iterator[Original]:
    any_article = article.alias()
    first = sa.select(sa.func.min(any_article.c.id)).where(
        any_article.c.ticket_id == ticket.c.id
    )
    query = (
        sa.select(
            article.c.id,
            article.c.spool_id,
            article.c.content_sha256,
            article.c.mail,
            ticket.c.number,
            first.scalar_subquery().label("first"),
        )
        .join(ticket, ticket.c.id == article.c.ticket_id)
        .where(*_kept(since))
        .order_by(article.c.id)
        .limit(_PAGE)
    )
    last = 0
    while rows := connection.execute(query.where(article.c.id > last)).all():
        for row in rows:
            facts = json.loads(row.mail or "{}")
            yield Original(
                spool_id=row.spool_id,
                sha256=row.content_sha256,
                envelope=Envelope.from_plain(facts["envelope"]),
                number=row.number or "",
                is_follow_up=row.first != row.id,
                article_id=row.id,
                facts=facts,
            )
        last = rows[-1].id


def _in_trash(connection: Connection, since: datetime) -> Iterator[Original]:
    query = (
        sa.select(
            trash.c.id, trash.c.spool_id, trash.c.content_sha256, trash.c.envelope
        )
        .where(trash.c.created_at >= since)
        .order_by(trash.c.id)
        .limit(_PAGE)
    )
    last = 0
    while rows := connection.execute(query.where(trash.c.id > last)).all():
        for row in rows:
            yield Original(
                spool_id=row.spool_id,
                sha256=row.content_sha256,
                envelope=Envelope.from_json(row.envelope),
            )
        last = rows[-1].id
