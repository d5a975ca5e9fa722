"""Ids of the tickets that fit a condition, newest first: all, or among some.

The condition comes from :mod:`otrsd.store.conditions`; what it means and in which
stretches tickets are looked through is the desk's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.language.tree import Tree
from otrsd.store import conditions
from otrsd.store.conditions import Asked
from otrsd.store.tables import ticket


def below(
    connection: Connection, tree: Tree, asked: Asked, *, after: int, limit: int | None
) -> Sequence[int]:
    """Return matching ids below ``after`` (0: from the top)."""
    statement = _statement(tree, asked).limit(limit)
    if after:
        statement = statement.where(ticket.c.id < after)
    return _ids(connection, statement)


def among(
    connection: Connection, tree: Tree, asked: Asked, ids: Sequence[int]
) -> Sequence[int]:
    """Return those of ``ids`` that match."""
    return _ids(connection, _statement(tree, asked).where(ticket.c.id.in_(ids)))


def between(
    connection: Connection, tree: Tree, asked: Asked, first: int, last: int
) -> Sequence[int]:
    """Return matching ids from ``first`` to ``last``."""
    inside = ticket.c.id.between(first, last)
    return _ids(connection, _statement(tree, asked).where(inside))


def newest(connection: Connection) -> int:
    """Return the highest ticket id; 0 if there is none."""
    return connection.execute(sa.select(sa.func.max(ticket.c.id))).scalar() or 0


def changed_at(
    connection: Connection, ids: Sequence[int]
) -> list[tuple[datetime, int]]:
    """Return (time of the last change, id) of these tickets."""
    rows = connection.execute(
        sa.select(ticket.c.changed_at, ticket.c.id).where(ticket.c.id.in_(ids))
    )
    return [(row.changed_at, row.id) for row in rows]


def _statement(tree: Tree, asked: Asked) -> sa.Select[Any]:
    return (
        sa.select(ticket.c.id)
        .where(conditions.condition(tree, asked))
        .order_by(ticket.c.id.desc())
    )


def _ids(connection: Connection, statement: sa.Select[Any]) -> Sequence[int]:
    return connection.execute(statement).scalars().all()
