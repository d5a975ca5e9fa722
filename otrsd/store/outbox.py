"""The outbox: side effects owed, leased by one relay at a time, deleted once paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.tables import outbox

#: The lane of articles whose attachments are still to be read.
EXTRACT = "extract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One side effect."""

    id: int
    #: Who is to be told: a plugin's name.
    target: str
    #: JSON.
    payload: str
    attempts: int
    next_at: datetime | None = None
    created_at: datetime | None = None
    #: Why it is still here; empty before the first try.
    reason: str = ""
    #: The lane it is in.
    kind: str = ""


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


def add_one(
    connection: Connection,
    kind: str,
    *,
    target: str,
    payload: str,
    at: datetime,
    reason: str,
) -> None:
    """Owe one side effect that has been tried before."""
    connection.execute(
        sa.insert(outbox),
        {
            "kind": kind,
            "target": target[:190],
            "payload": payload,
            "attempts": 1,
            "next_at": at,
            "reason": reason[:1000],
            "created_at": at,
        },
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


def look(
    connection: Connection, kinds: Sequence[str], *, row_id: int | None = None
) -> list[Owed]:
    """Return what is owed in these lanes, oldest first; changes nothing."""
    statement = sa.select(outbox).where(outbox.c.kind.in_(list(kinds)))
    if row_id is not None:
        statement = statement.where(outbox.c.id == row_id)
    return [
        Owed(
            id=row.id,
            target=row.target,
            payload=row.payload,
            attempts=row.attempts,
            next_at=row.next_at,
            created_at=row.created_at,
            reason=row.reason,
            kind=row.kind,
        )
        for row in connection.execute(statement.order_by(outbox.c.id))
    ]


def count_kinds(connection: Connection) -> dict[str, int]:
    """Return how many side effects are owed, by lane."""
    rows = connection.execute(
        sa.select(outbox.c.kind, sa.func.count()).group_by(outbox.c.kind)
    )
    return {row[0]: row[1] for row in rows}


def move(  # noqa: PLR0913 - one row, its new place and why
    connection: Connection,
    owed: Owed,
    *,
    kind: str,
    payload: str,
    next_at: datetime,
    attempts: int,
    reason: str,
) -> None:
    """Give a row another lane, payload, or time; its lease ends."""
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.id == owed.id)
        .values(
            kind=kind,
            payload=payload,
            attempts=attempts,
            next_at=next_at,
            leased_until=None,
            reason=reason[:1000],
        )
    )


def seize(connection: Connection, row_id: int, now: datetime) -> bool:
    """Lock a row for this transaction, unless a relay has it in hand."""
    seized = connection.execute(
        sa.update(outbox)
        .where(
            outbox.c.id == row_id,
            sa.or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now),
        )
        .values(leased_until=None)
    )
    return seized.rowcount > 0


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
