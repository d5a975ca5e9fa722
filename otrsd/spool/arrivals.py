"""Putting mails in, and reading their content back.

``put`` writes rows inside the caller's transaction. The common case is two
``executemany``; only where an id is there already it looks closer: the same octets
are a no-op (a retry after an answer got lost), other octets are kept as a held mail
under a fresh id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO

from otrsd.spool.file import CHUNK, CHUNK_BITS
from otrsd.spool.values import Arrival, Clash, State

_INSERT = (
    "INSERT INTO spool (seq, id, state, order_key, received_at, sha256, size,"
    " envelope, reason, without) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_CONTENT = "INSERT INTO spool_content (key, data) VALUES (?, ?)"


def put(
    connection: sqlite3.Connection,
    arrivals: Sequence[Arrival],
    fresh_id: Callable[[], str],
) -> tuple[Clash, ...]:
    """Write ``arrivals``; return the ids that came twice with other octets."""
    clashes: tuple[Clash, ...] = ()
    try:
        _insert(connection, arrivals)
    except sqlite3.IntegrityError:
        # Nothing of the failed statement's transaction may stay behind.
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        unknown, clashes = _sort_out(connection, arrivals, fresh_id)
        _insert(connection, unknown)
    return clashes


def _insert(connection: sqlite3.Connection, arrivals: Sequence[Arrival]) -> None:
    last = connection.execute("SELECT max(seq) FROM spool").fetchone()[0] or 0
    numbered = list(enumerate(arrivals, last + 1))
    connection.executemany(_INSERT, [_row(seq, arrival) for seq, arrival in numbered])
    connection.executemany(
        _INSERT_CONTENT,
        (
            (seq << CHUNK_BITS | n, piece)
            for seq, arrival in numbered
            for n, piece in enumerate(pieces(arrival.chunks))
        ),
    )


def _row(seq: int, arrival: Arrival) -> tuple[object, ...]:
    envelope = arrival.envelope
    return (
        seq,
        arrival.id,
        "held" if arrival.held else "incoming",
        _storable(envelope.order_key),
        envelope.received_at.timestamp(),
        arrival.sha256,
        arrival.size,
        _storable(envelope.to_json()),
        arrival.held,
        "\n".join(sorted(arrival.without)),
    )


def _storable(text: str) -> str:
    """Return ``text`` without lone surrogates, which SQLite can't store."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _sort_out(
    connection: sqlite3.Connection,
    arrivals: Sequence[Arrival],
    fresh_id: Callable[[], str],
) -> tuple[list[Arrival], tuple[Clash, ...]]:
    """Return what is new, and what must be held because its id is taken."""
    new: list[Arrival] = []
    clashes: list[Clash] = []
    seen: dict[str, str] = {}
    for arrival in arrivals:
        known = seen.get(arrival.id) or _sha256_of(connection, arrival.id)
        if known is None:
            seen[arrival.id] = arrival.sha256
            new.append(arrival)
        elif known != arrival.sha256 and not _is_held(connection, arrival):
            reason = f"its id {arrival.id} is taken by a mail with other octets"
            clash = Clash(id=arrival.id, held_as=fresh_id(), reason=reason)
            clashes.append(clash)
            new.append(replace(arrival, id=clash.held_as, held=reason))
    return new, tuple(clashes)


def _sha256_of(connection: sqlite3.Connection, spool_id: str) -> str | None:
    row = connection.execute(
        "SELECT sha256 FROM spool WHERE id = ?", (spool_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def _is_held(connection: sqlite3.Connection, arrival: Arrival) -> bool:
    """Tell whether this very clash was kept before (the writer tried again)."""
    found = connection.execute(
        "SELECT 1 FROM spool WHERE state = ? AND sha256 = ? AND reason LIKE ?",
        (State.HELD, arrival.sha256, f"its id {arrival.id} is taken%"),
    ).fetchone()
    return found is not None


def pieces(chunks: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """Yield the octets of ``chunks`` in pieces of at most ``CHUNK``.

    Large chunks are never copied; small ones are put together.
    """
    if len(chunks) == 1 and len(chunks[0]) <= CHUNK:
        yield chunks[0]
        return
    small = bytearray()
    for chunk in chunks:
        if len(small) + len(chunk) > CHUNK and small:
            yield bytes(small)
            small.clear()
        if len(chunk) <= CHUNK:
            small += chunk
            continue
        view = memoryview(chunk)
        for start in range(0, len(view), CHUNK):
            yield view[start : start + CHUNK]
    if small or not chunks:
        yield bytes(small)


def content(connection: sqlite3.Connection, seq: int) -> bytes:
    """Return the whole content of mail ``seq`` with one copy of it in memory."""
    # BytesIO hands out the very buffer it grew, where a join would hold two.
    whole = BytesIO()
    for (piece,) in connection.execute(
        "SELECT data FROM spool_content WHERE key BETWEEN ? AND ? ORDER BY key",
        span(seq),
    ):
        whole.write(piece)
    return whole.getvalue()


def span(seq: int) -> tuple[int, int]:
    """Return the first and the last key that content of mail ``seq`` can have."""
    return seq << CHUNK_BITS, (seq + 1 << CHUNK_BITS) - 1
