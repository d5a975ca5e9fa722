"""Locks that last until the commit: named keys, the number counter, leases.

On SQLite a write transaction excludes every other one, so names need no lock of
their own there. PostgreSQL has advisory locks; elsewhere rows of ``lock_key``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection

from otrsd.store.tables import counter, lease, lock_key

_ADVISORY = sa.text(
    "SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:k AS BIGINT[])) k"
)


def lock(connection: Connection, names: Iterable[str]) -> None:
    """Lock names in one order, so that two workers can't wait for each other."""
    dialect = connection.dialect.name
    wanted = sorted({hashlib.sha256(name.encode()).hexdigest() for name in names})
    if not wanted or dialect == "sqlite":
        return
    if dialect == "postgresql":
        numbers = [int(name[:16], 16) - (1 << 63) for name in wanted]
        connection.execute(_ADVISORY, {"k": numbers})
        return
    insert = mysql.insert(lock_key).prefix_with("IGNORE")
    connection.execute(insert, [{"name": name} for name in wanted])
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
        # Two transactions can't both get here: the history's head is next, and
        # whoever inserts second fails on the primary key and redoes its batch.
        connection.execute(sa.insert(counter), {"name": name, "value": by})
        return 0
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
    row = connection.execute(statement).first()
    values = {"holder": holder, "until": now + length}
    if row is None:
        connection.execute(sa.insert(lease), {"name": name, "fence": 1, **values})
        return 1
    if row.holder != holder and row.until > now:
        return None
    fence: int = row.fence + (row.holder != holder)
    connection.execute(
        sa.update(lease).where(lease.c.name == name).values(fence=fence, **values)
    )
    return fence
