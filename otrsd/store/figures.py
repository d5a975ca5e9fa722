"""Numbers about the whole desk: for health, metrics and the proof of a backup.

Functions take a connection and only read; they fail as the database does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.model.ticket import INACTIVE
from otrsd.store import locks
from otrsd.store.tables import history, metadata, outbox, ticket

_CLOSED = "closed/"
#: What the column holds; of two longer names one counter is made.
_COUNTER_NAME = 64
#: How far back a probe's ticket is looked for.
_RECENT = 1000
#: How each kind of server tells the seconds since 1970.
_CLOCKS = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT unix_timestamp(now(6))",
}


def latest_change(connection: Connection) -> datetime | None:
    """Return the time of the newest row of the history."""
    newest = sa.select(history.c.at).order_by(history.c.seq.desc()).limit(1)
    found: datetime | None = connection.execute(newest).scalar()
    return found


def servers_clock(connection: Connection) -> datetime | None:
    """Return the time of the database's server; ``None`` where there is no server."""
    asked = _CLOCKS.get(connection.dialect.name)
    if asked is None:
        return None
    return datetime.fromtimestamp(float(connection.scalar(sa.text(asked))), UTC)


def tickets_by_state(connection: Connection) -> Mapping[tuple[str, str], int]:
    """Return how many tickets there are by queue and state."""
    both = (ticket.c.queue, ticket.c.state)
    rows = connection.execute(sa.select(*both, sa.func.count()).group_by(*both))
    return {(row[0], row[1]): row[2] for row in rows}


def closed_in(queue: str) -> str:
    """Return the name of the counter of what was closed in a queue."""
    return f"{_CLOSED}{queue}"[:_COUNTER_NAME]


def closed(connection: Connection) -> Mapping[str, int]:
    """Return how often a ticket was closed so far, by queue; never falls."""
    return locks.counted(connection, _CLOSED)


def oldest_active(connection: Connection) -> Mapping[str, datetime]:
    """Return when the oldest ticket was opened that somebody has to work on."""
    rows = connection.execute(
        sa.select(ticket.c.queue, sa.func.min(ticket.c.created_at))
        .where(ticket.c.state_type.not_in([kind.value for kind in INACTIVE]))
        .group_by(ticket.c.queue)
    )
    return {row[0]: row[1] for row in rows}


def owed(connection: Connection) -> int:
    """Return how many side effects (mails, events) are still owed."""
    count = sa.select(sa.func.count()).select_from(outbox)
    return int(connection.execute(count).scalar_one())


def rows(connection: Connection) -> Mapping[str, int]:
    """Return the number of rows of every table there is."""
    there = set(sa.inspect(connection).get_table_names())
    return {
        table.name: connection.execute(
            sa.select(sa.func.count()).select_from(table)
        ).scalar_one()
        for table in metadata.sorted_tables
        if table.name in there
    }


def number_of_title(connection: Connection, title: str) -> str:
    """Return the number of the newest ticket with exactly this title, or nothing."""
    newest = sa.select(ticket.c.number).order_by(ticket.c.id.desc()).limit(1)
    # Only the newest are looked at: titles have no index.
    start = sa.select(sa.func.max(ticket.c.id)).scalar_subquery()
    recent = newest.where(ticket.c.id > start - _RECENT, ticket.c.title == title)
    return connection.execute(recent).scalar() or ""
