"""Counts over a window of time: automatic mails, loops, bounces, mails to the admin.

A row for each time; an address counts in lower case, as two spellings of one reach
the same mailbox. Rows are forgotten after ``KEEP``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.tables import Utc, tally

#: What is counted.
ANSWER, LOOP, BOUNCED, ADMIN = "answer", "loop", "bounced", "admin"
REJECT = "reject"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one address has had of us, by itself."""

    of_ticket: int
    in_hour: int
    in_day: int
    bounced: int


def answered(
    connection: Connection, who: str, ticket_id: int, at: datetime, muted: timedelta
) -> Answered:
    """Return the counts of one address in one look: it is in a write transaction."""
    row = connection.execute(
        _ANSWERED,
        {
            "who": _key(who),
            "ticket": ticket_id,
            "hour": at - timedelta(hours=1),
            "day": at - timedelta(days=1),
            "muted": at - muted,
        },
    ).one()
    return Answered(
        of_ticket=int(row[0] or 0),
        in_hour=int(row[1] or 0),
        in_day=int(row[2] or 0),
        bounced=int(row[3] or 0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """An address from which mails came back."""

    address: str
    times: int
    last_at: datetime
    #: The ticket of the last one.
    ticket_id: int | None


def bounced(connection: Connection, since: datetime) -> list[Marked]:
    """Return the addresses that bounced after ``since``, the last one first."""
    rows = connection.execute(
        sa.select(
            tally.c.who,
            sa.func.count().label("times"),
            sa.func.max(tally.c.at, type_=Utc).label("last_at"),
            sa.func.max(tally.c.ticket_id).label("ticket_id"),
        )
        .where(tally.c.what == BOUNCED, tally.c.at > since)
        .group_by(tally.c.who)
        .order_by(sa.func.max(tally.c.at).desc(), tally.c.who)
    )
    return [
        Marked(
            address=row.who,
            times=int(row.times),
            last_at=row.last_at,
            ticket_id=row.ticket_id,
        )
        for row in rows
    ]


def forget(connection: Connection, what: str, who: str) -> int:
    """Forget what was counted of one address; return how much it was."""
    statement = sa.delete(tally).where(tally.c.what == what, tally.c.who == _key(who))
    return int(connection.execute(statement).rowcount)


def _times(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((sa.and_(*conditions), 1), else_=0))


_IS_ANSWER = tally.c.what == ANSWER
_ANSWERED = sa.select(
    _times(_IS_ANSWER, tally.c.ticket_id == sa.bindparam("ticket")),
    _times(_IS_ANSWER, tally.c.at > sa.bindparam("hour", type_=Utc)),
    _times(_IS_ANSWER, tally.c.at > sa.bindparam("day", type_=Utc)),
    _times(tally.c.what == BOUNCED, tally.c.at > sa.bindparam("muted", type_=Utc)),
).where(tally.c.what.in_([ANSWER, BOUNCED]), tally.c.who == sa.bindparam("who"))


def _key(who: str) -> str:
    return who.lower().replace("\0", "\ufffd")[:_LONGEST]
