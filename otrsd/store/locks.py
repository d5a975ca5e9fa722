"""Locks that last until the commit: named keys, the number counter, leases.

On SQLite a write transaction excludes every other one, so names need no lock of
their own there. PostgreSQL has advisory locks; elsewhere rows of ``lock_key``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.inserting import insert_missing
from otrsd.store.tables import counter, lease, lock_key

_ADVISORY = sa.text(
    "SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:k AS BIGINT[])) k"
)


def lock(connection: Connection, names: Iterable[str]) -> None:
    """Lock names in one order, so that two workers can't wait for each other."""
    dialect = connection.dialect.name
    wanted = sorted({_hash(name) for name in names})
    if not wanted or dialect == "sqlite":
        return
    if dialect == "postgresql":
        numbers = [int(name[:16], 16) - (1 << 63) for name in wanted]
        connection.execute(_ADVISORY, {"k": numbers})
        return
    insert_missing(connection, lock_key, [{"name": name} for name in wanted])
    connection.execute(
        sa.select(lock_key.c.name)
        .where(lock_key.c.name.in_(wanted))
        .order_by(lock_key.c.name)
        .with_for_update()
    ).all()


def count_up(connection: Connection, name: str, by: int) -> int:
    """Raise a counter, locked until the commit; return its value before."""
    there = sa.select(counter.c.value).where(counter.c.name == name)
    if connection.dialect.name != "sqlite":
        there = there.with_for_update()
    value = connection.execute(there).scalar()
    if value is None:
        # The first ticket of a day: of two transactions the second waits here.
        insert_missing(connection, counter, [{"name": name, "value": 0}])
        value = connection.execute(there).scalar_one()
    connection.execute(
        sa.update(counter).where(counter.c.name == name).values(value=value + by)
    )
    return int(value)


def counted(connection: Connection, prefix: str) -> dict[str, int]:
    """Return the counters whose names begin so, by the rest of the name."""
    rows = connection.execute(
        sa.select(counter.c.name, counter.c.value).where(
            counter.c.name.startswith(prefix, autoescape=True)
        )
    )
    return {row.name.removeprefix(prefix): int(row.value) for row in rows}


def take_lease(
    connection: Connection, name: str, holder: str, now: datetime, length: timedelta
) -> int | None:
    """Take or keep a lease; return its fencing number, ``None`` if another has it."""
    statement = sa.select(lease).where(lease.c.name == name)
    if connection.dialect.name != "sqlite":
        statement = statement.with_for_update()
    values = {"holder": holder, "until": now + length}
    row = connection.execute(statement).first()
    if row is None:
        insert_missing(connection, lease, [{"name": name, "fence": 1, **values}])
        row = connection.execute(statement).one()
    if row.holder != holder and row.until > now:
        return None
    fence: int = row.fence + (row.holder != holder)
    connection.execute(
        sa.update(lease).where(lease.c.name == name).values(fence=fence, **values)
    )
    return fence


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
