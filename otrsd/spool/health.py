"""Which plugins fail: kept in the spool, so that it outlives the worker it kills.

Every function works inside the caller's transaction. Five failures in a row switch
a plugin off for five minutes; after them one more failure is enough.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from otrsd.spool.values import PluginHealth

FAILURES_OFF = 5
OFF_FOR = timedelta(minutes=5)
#: What is kept of an error's text.
_ERROR_LENGTH = 500


def failed(
    connection: sqlite3.Connection, name: str, error: str, now: datetime
) -> bool:
    """Count a failure; tell whether the plugin is switched off by it."""
    connection.execute(
        "INSERT INTO plugin_health (name, failures, error) VALUES (?, 1, ?)"
        " ON CONFLICT (name) DO UPDATE SET failures = failures + 1,"
        " error = excluded.error",
        (name, error[:_ERROR_LENGTH]),
    )
    until = (now + OFF_FOR).timestamp()
    switched = connection.execute(
        "UPDATE plugin_health SET off_until = ? WHERE name = ? AND failures >= ?",
        (until, name, FAILURES_OFF),
    )
    return switched.rowcount > 0


def recovered(connection: sqlite3.Connection, name: str) -> None:
    """Forget the failures of a plugin: it answered."""
    connection.execute("DELETE FROM plugin_health WHERE name = ?", (name,))


def health(connection: sqlite3.Connection, now: datetime) -> tuple[PluginHealth, ...]:
    """Return the plugins whose last call failed, by name."""
    rows = connection.execute(
        "SELECT name, failures, off_until, error FROM plugin_health ORDER BY name"
    )
    latest = (now + OFF_FOR).timestamp()
    return tuple(
        PluginHealth(
            name=name,
            failures_in_a_row=failures,
            # A time beyond the longest one: the clock was set back meanwhile.
            off_until=datetime.fromtimestamp(off_until, UTC)
            if now.timestamp() < off_until <= latest
            else None,
            error=error,
        )
        for name, failures, off_until, error in rows
    )
