"""Traces of decisions and the configuration snapshots they speak of; compressed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.inserting import insert_missing
from otrsd.store.tables import snapshot, trace


def add(
    connection: Connection, traces: Mapping[str, Sequence[Any]], snapshot_hash: str
) -> None:
    """Store one trace for each spool id."""
    connection.execute(
        sa.insert(trace),
        [
            {"spool_id": key, "snapshot": snapshot_hash, "data": _pack(steps)}
            for key, steps in traces.items()
        ],
    )


def read(connection: Connection, spool_id: str) -> tuple[str, list[Any]] | None:
    """Return (snapshot hash, steps) of one mail."""
    row = connection.execute(
        sa.select(trace.c.snapshot, trace.c.data).where(trace.c.spool_id == spool_id)
    ).first()
    if row is None:
        return None
    return row.snapshot, json.loads(zlib.decompress(row.data))


def last_snapshot(connection: Connection) -> str:
    """Return the hash of the configuration that the last mail met; empty: none."""
    # A spool id tells the time it was made at.
    query = sa.select(trace.c.snapshot).order_by(trace.c.spool_id.desc()).limit(1)
    return str(connection.execute(query).scalar() or "")


def forget(connection: Connection, spool_id: str) -> None:
    """Take a mail's trace away, before it makes its journey again (restore)."""
    connection.execute(sa.delete(trace).where(trace.c.spool_id == spool_id))


def octets(connection: Connection) -> list[int]:
    """Return the stored sizes of all traces (for measuring)."""
    return list(connection.execute(sa.select(sa.func.length(trace.c.data))).scalars())


def keep_snapshot(
    connection: Connection, name: str, files: Mapping[str, str], at: datetime
) -> None:
    """Store a configuration by its hash, once."""
    known = sa.select(snapshot.c.hash).where(snapshot.c.hash == name)
    if connection.execute(known).first() is None:
        row = {"hash": name, "created_at": at, "data": _pack(dict(files))}
        insert_missing(connection, snapshot, [row])


def read_snapshot(connection: Connection, name: str) -> Mapping[str, str] | None:
    """Return the files of a configuration, path → text."""
    data = connection.execute(
        sa.select(snapshot.c.data).where(snapshot.c.hash == name)
    ).scalar()
    return None if data is None else dict(json.loads(zlib.decompress(data)))


def _pack(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode("utf-8", "surrogatepass"))
