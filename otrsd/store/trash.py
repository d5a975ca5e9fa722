"""Discarded mails: kept with their reason until they expire, and restorable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.model.envelope import Envelope
from otrsd.store.tables import article, content, trash
from otrsd.store.text import ADDRESS, storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """One mail in the trash."""

    id: int
    spool_id: str
    content_sha256: str
    envelope: Envelope
    from_text: str
    subject: str
    #: Who discarded it: ``plugin:spam``, ``rule:NAME``, ``cli:LOGIN``.
    cause: str
    reason: str
    created_at: datetime
    expires_at: datetime


def add(connection: Connection, entry: Discarded) -> int:
    """Put a mail into the trash (its ``id`` is not used); return its id."""
    result = connection.execute(
        sa.insert(trash),
        {
            "kind": "mail",
            "spool_id": entry.spool_id,
            "content_sha256": entry.content_sha256,
            "envelope": storable(entry.envelope.to_json()),
            "from_text": storable(entry.from_text),
            "subject": storable(entry.subject),
            "cause": storable(entry.cause, ADDRESS),
            "reason": storable(entry.reason),
            "created_at": entry.created_at,
            "expires_at": entry.expires_at,
        },
    )
    key = result.inserted_primary_key
    if key is None:
        raise AssertionError("a trash row was inserted without a key")
    return int(key[0])


def entries(connection: Connection) -> list[Discarded]:
    """Return everything in the trash, newest first."""
    rows = connection.execute(sa.select(trash).order_by(trash.c.id.desc()))
    return [_discarded(row) for row in rows]


def by_id(connection: Connection, trash_id: int) -> Discarded | None:
    """Return one mail of the trash."""
    row = connection.execute(sa.select(trash).where(trash.c.id == trash_id)).first()
    return None if row is None else _discarded(row)


def envelope_of(connection: Connection, spool_id: str) -> str | None:
    """Return the stored envelope (JSON) of a discarded mail."""
    return connection.execute(
        sa.select(trash.c.envelope).where(trash.c.spool_id == spool_id)
    ).scalar()


def expired(connection: Connection, now: datetime, limit: int) -> list[Discarded]:
    """Return mails whose time is over, oldest first."""
    rows = connection.execute(
        sa.select(trash)
        .where(trash.c.expires_at <= now)
        .order_by(trash.c.expires_at)
        .limit(limit)
    )
    return [_discarded(row) for row in rows]


def remove(connection: Connection, trash_id: int) -> None:
    """Take the row away; the content stays until nothing names it."""
    connection.execute(sa.delete(trash).where(trash.c.id == trash_id))


def sweep_content(connection: Connection, sha256: str) -> bool:
    """Delete a content that no article and no trash row names; tell whether so.

    The caller has locked its name (``content.lock_name``).
    """
    for table in (article, trash):
        named = sa.select(table.c.id).where(table.c.content_sha256 == sha256).limit(1)
        if connection.execute(named).first() is not None:
            return False
    connection.execute(sa.delete(content).where(content.c.sha256 == sha256))
    return True


def _discarded(row: Any) -> Discarded:
    return Discarded(
        id=row.id,
        spool_id=row.spool_id,
        content_sha256=row.content_sha256,
        envelope=Envelope.from_json(row.envelope),
        from_text=row.from_text,
        subject=row.subject,
        cause=row.cause,
        reason=row.reason,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
