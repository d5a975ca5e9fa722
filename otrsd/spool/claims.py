"""Leases: who has which mail in hand, and what happens when a hand dies.

Every function works inside the caller's transaction. A lease has no expiry: its
owner is a process of this node, and the supervisor sees it die. Strikes follow
design.md §7: only the death of a worker that had one mail alone in hand counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from otrsd.control import Work
from otrsd.model.envelope import Envelope
from otrsd.spool.arrivals import content, span
from otrsd.spool.values import Claimed

#: A deferred mail never waits longer, even if the wall clock is set back.
LONGEST_DEFER = timedelta(hours=1)
#: With this many strikes the plugin in hand is left out …
STRIKES_WITHOUT_PLUGIN = 2
#: … and with this many the mail is held.
STRIKES_HELD = 3
#: Stages in which no verdict is not a clean verdict: held instead of left out.
SCREEN_STAGES = frozenset({"screen", "screen_mail"})

#: Incoming, then deferred and due, then deferred beyond any possible wait (the
#: clock was set back); never a sender that has an active mail.
_DUE = " UNION ALL ".join(
    f"SELECT * FROM (SELECT {{columns}} FROM spool WHERE {which}"  # noqa: S608 - constants
    " AND order_key NOT IN (SELECT order_key FROM spool WHERE state = 'active')"
    " ORDER BY next_attempt_at, seq LIMIT :limit)"
    for which in (
        "state = 'incoming'",
        "state = 'deferred' AND next_attempt_at <= :now",
        "state = 'deferred' AND next_attempt_at > :far",
    )
)
_IS_ANY_DUE = f"SELECT EXISTS ({_DUE.format(columns='seq')})"
_CANDIDATES = _DUE.format(columns="seq, order_key, size, alone") + " ORDER BY seq"
_LEASE = (
    "UPDATE spool SET state = 'active', next_attempt_at = 0, lease_owner = ?,"
    " leased_at = ? WHERE seq = ?"
)
_COLUMNS = "seq, id, envelope, sha256, size, strikes, tries, alone, without, released"
_GIVE_BACK = (
    "UPDATE spool SET state = 'incoming', next_attempt_at = 0, lease_owner = '',"
    " alone = max(alone, :alone) WHERE state = 'active'"
)


def is_any_due(connection: sqlite3.Connection, now: float) -> bool:
    """Tell whether a claim would find something."""
    found = connection.execute(_IS_ANY_DUE, _times(now, 1)).fetchone()
    return bool(found[0])


def claim(
    connection: sqlite3.Connection, worker: str, *, limit: int, octets: int, now: float
) -> list[int]:
    """Lease the oldest mails that may go now; return their ``seq``, in order."""
    found = connection.execute(_CANDIDATES, _times(now, limit)).fetchall()
    chosen = choose(found, limit=limit, octets=octets)
    connection.executemany(_LEASE, [(worker, now, seq) for seq in chosen])
    return chosen


def choose(
    candidates: Iterable[Sequence[int]], *, limit: int, octets: int
) -> list[int]:
    """Choose a batch from rows (seq, order key, size, alone), oldest first."""
    chosen: list[int] = []
    waiting: set[object] = set()
    total = 0
    for seq, order_key, size, alone in candidates:
        if not chosen and alone:
            return [seq]
        if len(chosen) == limit or (chosen and total + size > octets):
            break
        # A mail that must go alone holds back its sender's later ones.
        if alone or order_key in waiting:
            waiting.add(order_key)
            continue
        chosen.append(seq)
        total += size
    return chosen


def leased(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[Claimed]:
    """Read the mails ``seqs`` with their content, in order."""
    marks = ",".join("?" * len(seqs))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM spool WHERE seq IN ({marks}) ORDER BY seq",  # noqa: S608 - marks
        list(seqs),
    ).fetchall()
    return [
        Claimed(
            id=row[1],
            envelope=Envelope.from_json(row[2]),
            content=content(connection, row[0]),
            sha256=row[3],
            size=row[4],
            strikes=row[5],
            tries=row[6],
            alone=bool(row[7]),
            without=frozenset(row[8].splitlines()),
            released=bool(row[9]),
        )
        for row in rows
    ]


def done(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Remove the mails ``ids``: the desk has committed them."""
    seqs = [
        row[0]
        for spool_id in ids
        if (
            row := connection.execute(
                "SELECT seq FROM spool WHERE id = ?", (spool_id,)
            ).fetchone()
        )
    ]
    connection.executemany("DELETE FROM spool WHERE seq = ?", [(s,) for s in seqs])
    connection.executemany(
        "DELETE FROM spool_content WHERE key BETWEEN ? AND ?", map(span, seqs)
    )


def defer(
    connection: sqlite3.Connection,
    spool_id: str,
    reason: str,
    until: float,
    *,
    tried: bool,
) -> None:
    """Put a mail back until ``until``."""
    connection.execute(
        "UPDATE spool SET state = 'deferred', next_attempt_at = ?, reason = ?,"
        " lease_owner = '', tries = tries + ? WHERE id = ?",
        (until, reason, int(tried), spool_id),
    )


def hold(connection: sqlite3.Connection, spool_id: str, reason: str) -> None:
    """Keep a mail until a person releases it."""
    connection.execute(
        "UPDATE spool SET state = 'held', next_attempt_at = 0, reason = ?,"
        " lease_owner = '', released = 0 WHERE id = ?",
        (reason, spool_id),
    )


def give_back(
    connection: sqlite3.Connection, ids: Iterable[str], *, alone: bool
) -> None:
    """Return leased mails, without a strike."""
    connection.executemany(
        _GIVE_BACK + " AND id = :id",
        [{"alone": int(alone), "id": spool_id} for spool_id in ids],
    )


def put_down(connection: sqlite3.Connection, worker: str) -> None:
    """Return everything one worker has leased, without a strike."""
    connection.execute(
        _GIVE_BACK + " AND lease_owner = :owner", {"alone": 0, "owner": worker}
    )


def recover(connection: sqlite3.Connection, live: Collection[str]) -> int:
    """Return the leases of owners that do not live any more, without a strike."""
    owners = [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT lease_owner FROM spool WHERE state = 'active'"
        )
    ]
    returned = 0
    for owner in owners:
        if owner not in live:
            returned += connection.execute(
                _GIVE_BACK + " AND lease_owner = :owner", {"alone": 0, "owner": owner}
            ).rowcount
    return returned


def worker_died(
    connection: sqlite3.Connection, worker: str, work: Work
) -> tuple[str, ...]:
    """Settle what a dead worker had in hand; return the ids that are held now."""
    held: tuple[str, ...] = ()
    if work.alone and work.spool_id:
        held = _strike(connection, worker, work)
    connection.execute(
        _GIVE_BACK + " AND lease_owner = :owner",
        {"alone": int(not work.alone), "owner": worker},
    )
    return held


def _strike(connection: sqlite3.Connection, worker: str, work: Work) -> tuple[str, ...]:
    # All rows are fetched: a statement left open would still be running at COMMIT.
    rows = connection.execute(
        "UPDATE spool SET strikes = strikes + 1, alone = 1"
        " WHERE id = ? AND state = 'active' AND lease_owner = ?"
        " RETURNING strikes, without",
        (work.spool_id, worker),
    ).fetchall()
    if not rows:
        return ()
    strikes, without = rows[0][0], set(rows[0][1].splitlines())
    screening = bool(work.plugin) and work.stage in SCREEN_STAGES
    if strikes >= STRIKES_HELD or (strikes >= STRIKES_WITHOUT_PLUGIN and screening):
        hold(connection, work.spool_id, _verdict(strikes, work))
        return (work.spool_id,)
    if strikes >= STRIKES_WITHOUT_PLUGIN and work.plugin:
        connection.execute(
            "UPDATE spool SET without = ? WHERE id = ?",
            ("\n".join(sorted(without | {work.plugin})), work.spool_id),
        )
    return ()


def _verdict(strikes: int, work: Work) -> str:
    whose = f"plugin {work.plugin}" if work.plugin else "otrsd itself"
    stage = work.stage or "unknown"
    return f"a worker died or overran {strikes} times with it (stage {stage}, {whose})"


def _times(now: float, limit: int) -> dict[str, float]:
    far = now + LONGEST_DEFER.total_seconds()
    return {"now": now, "far": far, "limit": limit}
