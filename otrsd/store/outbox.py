"""The outbox: side effects owed, leased by one relay at a time, deleted once paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.tables import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One side effect."""

    id: int
    #: Who is to be told: a plugin's name.
    target: str
    #: JSON.
    payload: str
    attempts: int


def add(
    connection: Connection,
    kind: str,
    targets: Sequence[str],
    payloads: Sequence[str],
    at: datetime,
) -> None:
    """Owe each payload to each target."""
    connection.execute(
        sa.insert(outbox),
        [
            {
                "kind": kind,
                "target": target,
                "payload": payload,
                "attempts": 0,
                "next_at": at,
                "reason": "",
                "created_at": at,
            }
            for payload in payloads
            for target in targets
        ],
    )


def lease(
    connection: Connection, kind: str, now: datetime, length: timedelta, limit: int
) -> list[Owed]:
    """Lease what is due, in order; a lease that ran out is due again."""
    statement = (
        sa.select(outbox.c.id, outbox.c.target, outbox.c.payload, outbox.c.attempts)
        .where(
            outbox.c.kind == kind,
            outbox.c.next_at <= now,
            sa.or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now),
        )
        .order_by(outbox.c.id)
        .limit(limit)
    )
    if connection.dialect.name != "sqlite":
        statement = statement.with_for_update(skip_locked=True)
    found = [
        Owed(id=row.id, target=row.target, payload=row.payload, attempts=row.attempts)
        for row in connection.execute(statement)
    ]
    if found:
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.id.in_([each.id for each in found]))
            .values(leased_until=now + length)
        )
    return found


def is_any_due(connection: Connection, kind: str, now: datetime) -> bool:
    """Tell whether a lease would find anything; a plain read."""
    statement = sa.select(outbox.c.id).where(
        outbox.c.kind == kind, outbox.c.next_at <= now
    )
    return connection.execute(statement.limit(1)).first() is not None


def done(connection: Connection, ids: Sequence[int]) -> None:
    """Delete what was paid."""
    connection.execute(sa.delete(outbox).where(outbox.c.id.in_(ids)))


def defer(connection: Connection, owed: Owed, next_at: datetime, reason: str) -> None:
    """Put one back until ``next_at``."""
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.id == owed.id)
        .values(
            attempts=owed.attempts + 1,
            next_at=next_at,
            leased_until=None,
            reason=reason[:1000],
        )
    )


def count(connection: Connection) -> int:
    """Return how many side effects are owed."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(outbox)
    ).scalar_one()
