"""Counts over a window of time: automatic mails, loops, bounces, mails to the admin.

A row for each time; an address counts in lower case, as two spellings of one reach
the same mailbox. Rows are forgotten after ``KEEP``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.tables import tally

#: What is counted.
ANSWER, LOOP, BOUNCED, ADMIN = "answer", "loop", "bounced", "admin"
#: Longer than every window in which something is counted.
KEEP = timedelta(days=61)
#: Characters of the column; a longer address would not be sent to.
_LONGEST = 254


def add(
    connection: Connection,
    what: str,
    who: str,
    at: datetime,
    ticket_id: int | None = None,
) -> None:
    """Count one more, and forget what is too old to matter."""
    connection.execute(
        sa.delete(tally).where(tally.c.what == what, tally.c.at < at - KEEP)
    )
    connection.execute(
        sa.insert(tally),
        {"what": what, "who": _key(who), "ticket_id": ticket_id, "at": at},
    )


def count(
    connection: Connection,
    what: str,
    *,
    since: datetime,
    who: str | None = None,
    ticket_id: int | None = None,
) -> int:
    """Return how many there were after ``since``, of all or of one."""
    statement = (
        sa.select(sa.func.count())
        .select_from(tally)
        .where(tally.c.what == what, tally.c.at > since)
    )
    if who is not None:
        statement = statement.where(tally.c.who == _key(who))
    if ticket_id is not None:
        statement = statement.where(tally.c.ticket_id == ticket_id)
    return int(connection.execute(statement).scalar_one())


def _key(who: str) -> str:
    return who.lower().replace("\0", "\ufffd")[:_LONGEST]
