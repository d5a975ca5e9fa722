"""Insert rows that another process may be inserting at this very moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Connection


def insert_missing(
    connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert ``rows``; one whose primary key is there already stays as it is.

    A transaction that waits for another one's row goes on when that one has ended,
    where a plain INSERT would fail and its whole batch would be redone.
    """
    if rows:
        connection.execute(_statement(connection, table), [dict(row) for row in rows])


def _statement(connection: Connection, table: sa.Table) -> sa.Insert:
    dialect = connection.dialect.name
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    if dialect in {"mysql", "mariadb"}:
        # IGNORE would hide other errors too, and take a shared lock first, with
        # which two transactions wait for each other.
        key = next(iter(table.primary_key.columns))
        return mysql.insert(table).on_duplicate_key_update({key.name: key})
    return sa.insert(table)
