"""The history: an append-only chain, one row per change.

``commit = sha256(salt ‖ payload)``; ``mac = HMAC-SHA256(key, every column ‖ commit
‖ prev)``. Old and new values stand in the payload table, so that a person can be
erased later without breaking the chain. The head row is locked last in every
transaction (:func:`append`), which makes the sequence gapless.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.tables import history, history_head, history_payload
from otrsd.store.text import storable

#: prev of the first row.
GENESIS = "0" * 64
#: Octets of salt a payload takes.
SALT_OCTETS = 16
#: Rows that verifying reads at once.
_AT_ONCE = 1000

_HEAD = sa.select(history_head).where(history_head.c.id == 1)
_SET_HEAD = sa.update(history_head).where(history_head.c.id == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change, with the ticket as it stood at that moment."""

    type: str
    actor: str
    cause: str
    ticket_id: int | None = None
    article_id: int | None = None
    queue: str = ""
    state: str = ""
    owner: str = ""
    priority: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One row of the chain as stored, with its payload."""

    seq: int
    at: datetime
    type: str
    actor: str
    cause: str
    ticket_id: int | None
    article_id: int | None
    queue: str
    state: str
    owner: str
    priority: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What is the same for all rows of one transaction."""

    at: datetime
    node: str
    key: bytes


def canonical(value: object) -> str:
    """Return the canonical form: JSON with sorted keys and no white space."""
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
    )
    return storable(text)


def append(
    connection: Connection, changes: Sequence[Change], seal: Seal, salts: bytes
) -> int:
    """Chain ``changes`` to the end; return the first one's sequence number.

    ``salts``: ``SALT_OCTETS`` random octets for each change.
    """
    head = connection.execute(
        _HEAD.with_for_update() if connection.dialect.name != "sqlite" else _HEAD
    ).one()
    prev, rows, payloads = head.mac, [], []
    for n, change in enumerate(changes):
        salt = salts[n * SALT_OCTETS : (n + 1) * SALT_OCTETS].hex()
        data = canonical(change.data)
        row = {
            "seq": head.seq + 1 + n,
            "epoch": head.epoch,
            "at": seal.at,
            "node": seal.node,
            "type": change.type,
            "actor": change.actor,
            "cause": change.cause,
            "ticket_id": change.ticket_id,
            "article_id": change.article_id,
            "queue": change.queue,
            "state": change.state,
            "owner": change.owner,
            "priority": change.priority,
            "payload_commit": _commit(salt, data),
            "prev": prev,
        }
        prev = row["mac"] = mac(row, seal.key)
        rows.append(row)
        payloads.append({"seq": row["seq"], "salt": salt, "data": data})
    connection.execute(sa.insert(history), rows)
    connection.execute(sa.insert(history_payload), payloads)
    connection.execute(_SET_HEAD.values(seq=head.seq + len(rows), mac=prev))
    return int(head.seq) + 1


def mac(row: Mapping[str, Any], key: bytes) -> str:
    """Return the mac over every column of a row but itself."""
    covered = [
        str(row[column.name]) if column.name != "at" else row["at"].isoformat()
        for column in history.columns
        if column.name != "mac"
    ]
    text = canonical(covered).encode("utf-8", "surrogatepass")
    return hmac.digest(key, text, "sha256").hex()


def of_ticket(connection: Connection, ticket_id: int) -> list[HistoryRow]:
    """Return a ticket's history, oldest first."""
    statement = (
        sa.select(history, history_payload.c.data)
        .outerjoin(history_payload, history_payload.c.seq == history.c.seq)
        .where(history.c.ticket_id == ticket_id)
        .order_by(history.c.seq)
    )
    return [
        HistoryRow(
            seq=row.seq,
            at=row.at,
            type=row.type,
            actor=row.actor,
            cause=row.cause,
            ticket_id=row.ticket_id,
            article_id=row.article_id,
            queue=row.queue,
            state=row.state,
            owner=row.owner,
            priority=row.priority,
            data=json.loads(row.data) if row.data else {},
        )
        for row in connection.execute(statement)
    ]


def verify(connection: Connection, key: bytes) -> int | None:
    """Walk the whole chain; return the first sequence number that is wrong.

    Nothing erases a payload yet, so one that is missing is wrong too.
    """
    expected, prev = 1, GENESIS
    statement = (
        sa.select(history, history_payload.c.salt, history_payload.c.data)
        .outerjoin(history_payload, history_payload.c.seq == history.c.seq)
        .order_by(history.c.seq)
    )
    # A chain of years does not fit into memory.
    reading = statement.execution_options(yield_per=_AT_ONCE)
    with connection.execute(reading) as rows:
        for row in rows:
            values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
            if (
                row.seq != expected
                or row.prev != prev
                or not hmac.compare_digest(row.mac, mac(values, key))
                or row.data is None
                or _commit(row.salt, row.data) != row.payload_commit
            ):
                return expected
            expected, prev = expected + 1, row.mac
    head = connection.execute(_HEAD).one()
    return None if (head.seq, head.mac) == (expected - 1, prev) else expected


def _commit(salt: str, data: str) -> str:
    octets = salt.encode() + data.encode("utf-8", "surrogatepass")
    return hashlib.sha256(octets).hexdigest()
