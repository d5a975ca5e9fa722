"""What a person sees of the spool, and does to it: list, retry, release, discard.

Every function works inside the caller's transaction. A mail that a worker has in
hand is out of a person's reach: :class:`~otrsd.errors.ConflictError`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

from otrsd.errors import ConflictError, NotFoundError
from otrsd.model.envelope import Envelope
from otrsd.spool.values import Entry, State

_COLUMNS = (
    "id, state, envelope, received_at, next_attempt_at, tries, strikes, lease_owner,"
    " alone, without, sha256, size, reason"
)


def entries(
    connection: sqlite3.Connection, state: State | None, limit: int
) -> tuple[Entry, ...]:
    """Return at most ``limit`` mails in ``state`` (``None``: in any), oldest first."""
    states = [state] if state else list(State)
    marks = ",".join("?" * len(states))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM spool WHERE state IN ({marks})"  # noqa: S608 - marks
        " ORDER BY seq LIMIT ?",
        [*states, limit],
    )
    return tuple(map(_entry, rows))


def entry(connection: sqlite3.Connection, spool_id: str) -> Entry:
    """Return the mail ``spool_id``; NotFoundError if there is none."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM spool WHERE id = ?",  # noqa: S608 - a constant
        (spool_id,),
    ).fetchone()
    if row is None:
        raise _missing(spool_id)
    return _entry(row)


def seq_of(connection: sqlite3.Connection, spool_id: str) -> int:
    """Return the row number of the mail ``spool_id``; NotFoundError if none."""
    row = connection.execute(
        "SELECT seq FROM spool WHERE id = ?", (spool_id,)
    ).fetchone()
    if row is None:
        raise _missing(spool_id)
    return int(row[0])


def again(connection: sqlite3.Connection, spool_id: str, *, released: bool) -> None:
    """Let a mail run now, with no strikes; ``released``: a hold does not count."""
    found = _at_rest(connection, spool_id)
    connection.execute(
        "UPDATE spool SET state = 'incoming', next_attempt_at = 0, strikes = 0,"
        " without = '', reason = '', alone = ?, released = max(released, ?)"
        " WHERE id = ?",
        # What once killed a worker goes alone again.
        (int(found.alone or found.strikes > 0), int(released), spool_id),
    )


def set_aside(connection: sqlite3.Connection, spool_id: str, reason: str) -> None:
    """Keep a mail from all workers while somebody moves it elsewhere."""
    _at_rest(connection, spool_id)
    connection.execute(
        "UPDATE spool SET state = 'held', next_attempt_at = 0,"
        " reason = CASE reason WHEN '' THEN ? ELSE reason END WHERE id = ?",
        (reason, spool_id),
    )


def counts(connection: sqlite3.Connection) -> Mapping[State, int]:
    """Return how many mails are in each state."""
    found = dict(connection.execute("SELECT state, count(*) FROM spool GROUP BY state"))
    return {state: found.get(state.value, 0) for state in State}


def oldest(connection: sqlite3.Connection) -> Mapping[State, float]:
    """Return when the oldest mail of each state was received (Unix seconds)."""
    # SQLite takes the other columns from the row that has the minimum.
    rows = connection.execute(
        "SELECT state, received_at, min(seq) FROM spool GROUP BY state"
    )
    return {State(state): float(received) for state, received, _ in rows}


def _at_rest(connection: sqlite3.Connection, spool_id: str) -> Entry:
    found = entry(connection, spool_id)
    if found.state is State.ACTIVE:
        raise ConflictError(
            f"mail {spool_id} is in the hands of {found.worker}; try again in a minute"
        )
    return found


def _missing(spool_id: str) -> NotFoundError:
    return NotFoundError(
        f"no mail {spool_id!r} in the spool; see `otrsd spool list`, or"
        f" `otrsd explain {spool_id!r}` if it was delivered"
    )


def _entry(row: tuple[object, ...]) -> Entry:
    (spool_id, state, envelope, received, due, tries, strikes) = row[:7]
    (worker, alone, without, sha256, size, reason) = row[7:]
    return Entry(
        id=str(spool_id),
        state=State(str(state)),
        envelope=Envelope.from_json(str(envelope)),
        received_at=_time(received),
        next_attempt_at=_time(due) if state == State.DEFERRED else None,
        tries=int(str(tries)),
        strikes=int(str(strikes)),
        worker=str(worker) if state == State.ACTIVE else "",
        alone=bool(alone),
        without=frozenset(str(without).splitlines()),
        sha256=str(sha256),
        size=int(str(size)),
        reason=str(reason),
    )


def _time(seconds: object) -> datetime:
    return datetime.fromtimestamp(float(str(seconds)), UTC)
