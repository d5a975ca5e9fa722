"""A plugin's own memory: rows (plugin, key) → JSON, ticket, due time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.model.changes import PluginState
from otrsd.store.tables import plugin_state
from otrsd.store.text import storable

_READ = sa.select(
    plugin_state.c.value, plugin_state.c.ticket_id, plugin_state.c.due_at
).where(
    plugin_state.c.plugin == sa.bindparam("p"),
    plugin_state.c.key_hash == sa.bindparam("k"),
)


def read(connection: Connection, plugin: str, key: str) -> PluginState | None:
    """Return a row, locked until the commit where the database can."""
    statement = _READ
    if connection.dialect.name != "sqlite":
        statement = statement.with_for_update()
    row = connection.execute(statement, {"p": plugin, "k": _hash(key)}).first()
    return None if row is None else _state(row)


def write(
    connection: Connection, plugin: str, states: Mapping[str, PluginState | None]
) -> None:
    """Replace rows; ``None`` deletes."""
    for key, state in states.items():
        connection.execute(
            sa.delete(plugin_state).where(
                plugin_state.c.plugin == plugin, plugin_state.c.key_hash == _hash(key)
            )
        )
        if state is not None:
            connection.execute(sa.insert(plugin_state), _row(plugin, key, state))


def due(
    connection: Connection, now: datetime, limit: int
) -> list[tuple[str, str, PluginState]]:
    """Return (plugin, key, row) whose time has come, earliest first."""
    rows = connection.execute(
        sa.select(plugin_state)
        .where(plugin_state.c.due_at.is_not(None), plugin_state.c.due_at <= now)
        .order_by(plugin_state.c.due_at)
        .limit(limit)
    )
    return [(row.plugin, row.key, _state(row)) for row in rows]


def settle(connection: Connection, plugin: str, key: str) -> None:
    """Take a row's due time away: its timer has fired."""
    connection.execute(
        sa.update(plugin_state)
        .where(plugin_state.c.plugin == plugin, plugin_state.c.key_hash == _hash(key))
        .values(due_at=None)
    )


def _row(plugin: str, key: str, state: PluginState) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "key_hash": _hash(key),
        "key": storable(key),
        "value": storable(json.dumps(dict(state.value), ensure_ascii=False)),
        "ticket_id": state.ticket_id,
        "due_at": state.due_at,
    }


def _state(row: Any) -> PluginState:
    return PluginState(
        value=json.loads(row.value), ticket_id=row.ticket_id, due_at=row.due_at
    )


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
