"""What became of each spooled mail; unique on (spool id, part).

A spool row that comes a second time (a crash between the desk's commit and the
spool's) is found here, so that the second try is a no-op.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.tables import ledger

#: The outcomes a row can have; a held mail has none: it is still in the spool.
ARTICLE, TRASH, DUPLICATE = "article", "trash", "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one mail."""

    spool_id: str
    sha256: str
    outcome: str
    ticket_id: int | None = None
    article_id: int | None = None
    trash_id: int | None = None
    part: int = 0


def add(connection: Connection, entries: Sequence[Entry], at: datetime) -> None:
    """Record outcomes."""
    connection.execute(
        sa.insert(ledger),
        [
            {
                "spool_id": entry.spool_id,
                "part": entry.part,
                "sha256": entry.sha256,
                "outcome": entry.outcome,
                "ticket_id": entry.ticket_id,
                "article_id": entry.article_id,
                "trash_id": entry.trash_id,
                "at": at,
            }
            for entry in entries
        ],
    )


def read(connection: Connection, spool_ids: Iterable[str]) -> Mapping[str, Entry]:
    """Return what is recorded of these mails, by spool id (part 0)."""
    rows = connection.execute(
        sa.select(ledger).where(
            ledger.c.spool_id.in_(list(spool_ids)), ledger.c.part == 0
        )
    )
    return {row.spool_id: _entry(row) for row in rows}


def forget(connection: Connection, spool_id: str) -> None:
    """Take a mail's entry away, so that it can make its journey again (restore)."""
    connection.execute(sa.delete(ledger).where(ledger.c.spool_id == spool_id))


def _entry(row: Any) -> Entry:
    return Entry(
        spool_id=row.spool_id,
        sha256=row.sha256,
        outcome=row.outcome,
        ticket_id=row.ticket_id,
        article_id=row.article_id,
        trash_id=row.trash_id,
        part=row.part,
    )
