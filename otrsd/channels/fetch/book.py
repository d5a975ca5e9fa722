"""The book of fetching: what was taken of each mailbox, and how each account fares.

``<state>/fetch.db``, SQLite, written by the receiver, read by ``otrsd status`` and
``doctor``. It saves work, and is not what keeps mails from coming twice (see the
package): one that is lost or damaged may be removed. One connection a thread. Fails
with :class:`~otrsd.errors.TemporaryError`.

A mail's name over there counts together with the mailbox' ``validity``. Where that has
changed, the old names are kept until a visit is through, so that a mail is known by
its octets, each as often as it was there (P02).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from otrsd.errors import TemporaryError

BOOK_NAME = "fetch.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS mailbox (
    key TEXT PRIMARY KEY,
    validity TEXT NOT NULL,
    -- Everything below this number is settled.
    next INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS taken (
    key TEXT NOT NULL,
    validity TEXT NOT NULL,
    uid TEXT NOT NULL,
    -- Of its octets; empty: it was put aside and left where it is.
    sha256 TEXT NOT NULL,
    PRIMARY KEY (key, validity, uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failing (
    key TEXT NOT NULL,
    validity TEXT NOT NULL,
    uid TEXT NOT NULL,
    tries INTEGER NOT NULL,
    PRIMARY KEY (key, validity, uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY,
    -- Unix seconds, 0 for never.
    succeeded_at REAL NOT NULL DEFAULT 0,
    failed_at REAL NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    waiting INTEGER NOT NULL DEFAULT 0,
    fetched INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
#: Names asked for in one statement.
_MANY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """How an account fares; times are Unix seconds, 0 for never."""

    name: str
    succeeded_at: float = 0.0
    failed_at: float = 0.0
    #: Of the last visit; empty where it went well.
    error: str = ""
    #: Mails over there that are not taken yet.
    waiting: int = 0
    #: Taken since the account is known.
    fetched: int = 0


class Book:
    """The book, open in one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            if not path.exists():
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                os.close(os.open(path, flags, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._connection.execute("PRAGMA journal_mode=WAL").close()
            self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def page(self, key: str) -> Page:
        """Return what the book knows of one mailbox."""
        return Page(self, key)

    def succeeded(self, name: str, at: float, *, waiting: int, fetched: int) -> None:
        """Note a visit that went well."""
        with self.write() as connection:
            connection.execute(
                "INSERT INTO account (name, succeeded_at, waiting, fetched)"
                " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET"
                " succeeded_at = ?2, error = '', waiting = ?3, fetched = fetched + ?4",
                (name, at, waiting, fetched),
            )

    def failed(
        self, name: str, at: float, error: str, *, waiting: int | None, fetched: int
    ) -> None:
        """Note a visit that did not; ``waiting``: ``None`` where nobody could look."""
        with self.write() as connection:
            connection.execute(
                "INSERT INTO account (name, failed_at, error, waiting, fetched)"
                " VALUES (?1, ?2, ?3, coalesce(?4, 0), ?5)"
                " ON CONFLICT (name) DO UPDATE SET failed_at = ?2, error = ?3,"
                " waiting = coalesce(?4, waiting), fetched = fetched + ?5",
                (name, at, error, waiting, fetched),
            )

    def forget_others(self, names: Collection[str]) -> None:
        """Forget how accounts fared that are not in the configuration any more."""
        with self.write() as connection:
            for each in _accounts(connection):
                if each.name not in names:
                    connection.execute(
                        "DELETE FROM account WHERE name = ?", (each.name,)
                    )

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def rows(self, query: str, values: Sequence[object]) -> list[tuple[str, ...]]:
        """Return what a query finds."""
        with self._errors():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise TemporaryError(
                f"the book of fetching {self._path} can't be used: {error}; is there"
                f" room on its disk? A damaged one may be removed while otrsd is"
                " stopped: no mail is lost or comes twice by that"
            ) from error


class Page:
    """What is known of one mailbox."""

    def __init__(self, book: Book, key: str) -> None:
        self._book = book
        self.key = key
        self.validity = ""
        #: Whether there are names of an earlier validity.
        self.has_old = False

    def open_at(self, validity: str) -> bool:
        """Turn to the names of ``validity``; tell whether it was another before."""
        self.validity = validity
        known = self._book.rows(
            "SELECT validity FROM mailbox WHERE key = ?", (self.key,)
        )
        changed = bool(known) and known[0][0] != validity
        if not known or changed:
            with self._book.write() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO mailbox VALUES (?, ?, 0)",
                    (self.key, validity),
                )
        self.has_old = bool(
            self._book.rows(
                "SELECT 1 FROM taken WHERE key = ? AND validity <> ? LIMIT 1",
                (self.key, validity),
            )
        )
        return changed

    @property
    def next(self) -> int:
        """Return the number below which everything is settled."""
        (row,) = self._book.rows("SELECT next FROM mailbox WHERE key = ?", (self.key,))
        return int(row[0])

    def settle_up_to(self, number: int) -> None:
        """Note that every mail below ``number`` is settled."""
        with self._book.write() as connection:
            connection.execute(
                "UPDATE mailbox SET next = ? WHERE key = ? AND validity = ?",
                (number, self.key, self.validity),
            )

    def taken(self, uids: Sequence[str]) -> Mapping[str, str]:
        """Return uid → sha256 of those that were taken or put aside."""
        return {each[0]: each[1] for each in self._of("taken", "sha256", uids)}

    def tries(self, uids: Sequence[str]) -> Mapping[str, int]:
        """Return uid → failed tries."""
        return {uid: int(tries) for uid, tries in self._of("failing", "tries", uids)}

    def _of(
        self, table: str, column: str, uids: Sequence[str]
    ) -> Iterator[tuple[str, ...]]:
        for start in range(0, len(uids), _MANY):
            some = uids[start : start + _MANY]
            # The names of table and column are ours, and so below.
            yield from self._book.rows(
                f"SELECT uid, {column} FROM {table} WHERE key = ? AND validity = ?"  # noqa: S608
                f" AND uid IN ({','.join('?' * len(some))})",
                (self.key, self.validity, *some),
            )

    def mark(self, taken: Mapping[str, str]) -> None:
        """Note uid → sha256 as taken; an empty sha256 is put aside."""
        with self._book.write() as connection:
            rows = [(self.key, self.validity, *each) for each in taken.items()]
            connection.executemany(
                "INSERT OR REPLACE INTO taken VALUES (?,?,?,?)", rows
            )
            self._forget(connection, "failing", taken)

    def drop(self, uids: Collection[str]) -> None:
        """Forget mails that are gone over there."""
        with self._book.write() as connection:
            self._forget(connection, "taken", uids)
            self._forget(connection, "failing", uids)

    def keep_only(self, uids: Collection[str]) -> None:
        """Forget every mail that is not among ``uids``, the whole mailbox."""
        for table in ("taken", "failing"):
            known = self._book.rows(
                f"SELECT uid FROM {table} WHERE key = ? AND validity = ?",  # noqa: S608
                (self.key, self.validity),
            )
            gone = {row[0] for row in known} - set(uids)
            if gone:
                with self._book.write() as connection:
                    self._forget(connection, table, gone)

    def fail(self, uid: str) -> int:
        """Count a failed try; return how many there were."""
        with self._book.write() as connection:
            connection.execute(
                "INSERT INTO failing VALUES (?, ?, ?, 1)"
                " ON CONFLICT (key, validity, uid) DO UPDATE SET tries = tries + 1",
                (self.key, self.validity, uid),
            )
        return self.tries([uid])[uid]

    def inherit(self, uid: str, sha256: str) -> bool:
        """Tell whether the mail is one of the old names; it has a new one then."""
        with self._book.write() as connection:
            old = connection.execute(
                "SELECT validity, uid FROM taken"
                " WHERE key = ? AND validity <> ? AND sha256 = ? LIMIT 1",
                (self.key, self.validity, sha256),
            ).fetchone()
            if old is None:
                return False
            connection.execute(
                "DELETE FROM taken WHERE key = ? AND validity = ? AND uid = ?",
                (self.key, *old),
            )
            connection.execute(
                "INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?)",
                (self.key, self.validity, uid, sha256),
            )
        return True

    def forget_old(self) -> None:
        """Forget the names of every other validity: the whole mailbox was seen."""
        with self._book.write() as connection:
            for table in ("taken", "failing"):
                connection.execute(
                    f"DELETE FROM {table} WHERE key = ? AND validity <> ?",  # noqa: S608
                    (self.key, self.validity),
                )
        self.has_old = False

    def _forget(
        self, connection: sqlite3.Connection, table: str, uids: Collection[str]
    ) -> None:
        connection.executemany(
            f"DELETE FROM {table} WHERE key = ? AND validity = ? AND uid = ?",  # noqa: S608
            [(self.key, self.validity, uid) for uid in uids],
        )


def read_accounts(state: Path) -> tuple[AccountStatus, ...]:
    """Return how each account fares; nothing where none was ever visited."""
    path = state / BOOK_NAME
    if not path.exists():
        return ()
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            return _accounts(connection)
    except sqlite3.Error as error:
        raise TemporaryError(f"{path} can't be read: {error}") from error


def _accounts(connection: sqlite3.Connection) -> tuple[AccountStatus, ...]:
    rows = connection.execute(
        "SELECT name, succeeded_at, failed_at, error, waiting, fetched FROM account"
        " ORDER BY name"
    )
    fields = AccountStatus.__slots__
    return tuple(AccountStatus(**dict(zip(fields, row, strict=True))) for row in rows)
