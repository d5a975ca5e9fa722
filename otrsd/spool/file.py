"""The spool's SQLite file: opening it, writing in turn, schema and errors.

:class:`SpoolFile` gives connections, one per process and thread, opened at their
first use, so that a process may fork after making it. ``write`` stands in line
with every other writer of every process by a ``flock`` beside the file (SQLite's
own busy handler is unfair) and commits on a clean exit; ``read`` is one snapshot.

Raises :class:`~otrsd.errors.SpoolFullError` where the disk, the quota or a file
size limit is at its end or the disk fails, :class:`~otrsd.errors.SchemaError` for a
newer spool, and :class:`~otrsd.errors.TemporaryError` for the rest of SQLite's
trouble. After an error the connection is thrown away: what was written before a
failed sync must not be believed later. A file that was removed or replaced while it
was open fails the first use once, loudly, and is read through before it is believed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from otrsd.errors import SchemaError, SpoolFullError, TemporaryError

#: PRAGMA user_version of the schema below.
SCHEMA_VERSION = 1

#: Content stands in rows of at most CHUNK octets; row n of mail ``seq`` has the key
#: ``seq << CHUNK_BITS | n``: one B-tree, written at its end, read as one range.
CHUNK = 256 * 1024
CHUNK_BITS = 20

SCHEMA = (
    """
    CREATE TABLE spool (
        -- The order of arrival. Never a mail's name: SQLite uses it again.
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        order_key TEXT NOT NULL,
        -- Unix seconds.
        received_at REAL NOT NULL,
        -- Unix seconds; 0 unless deferred.
        next_attempt_at REAL NOT NULL DEFAULT 0,
        tries INTEGER NOT NULL DEFAULT 0,
        strikes INTEGER NOT NULL DEFAULT 0,
        -- The worker that has it in hand, and since when.
        lease_owner TEXT NOT NULL DEFAULT '',
        leased_at REAL NOT NULL DEFAULT 0,
        alone INTEGER NOT NULL DEFAULT 0,
        -- Names of plugins left out, separated by blanks.
        without TEXT NOT NULL DEFAULT '',
        released INTEGER NOT NULL DEFAULT 0,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        envelope TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT ''
    )
    """,
    # Covers the claim: a sender's 10,000 waiting mails are skipped inside it.
    "CREATE INDEX spool_work ON spool (state, next_attempt_at, seq, order_key)",
    "CREATE TABLE spool_content (key INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    """
    CREATE TABLE plugin_health (
        name TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        off_until REAL NOT NULL DEFAULT 0,
        error TEXT NOT NULL
    )
    """,
)

#: Operating system errors that mean "no room, or the disk fails".
_FULL_ERRNO = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
#: SQLite's primary result codes for the same; a file size limit shows as IOERR.
_FULL_SQLITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
#: SQLite's primary result codes for a file that is damaged, or is no database.
_DAMAGED_SQLITE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE = 0xFF

#: PRAGMA, value to set, value to be read back (``None``: any).
_PRAGMAS: tuple[tuple[str, str, object], ...] = (
    ("auto_vacuum", "INCREMENTAL", None),
    ("journal_mode", "WAL", "wal"),
    # Part of promise P1: with NORMAL a power cut undoes an acknowledged commit.
    ("synchronous", "FULL", 2),
    ("busy_timeout", "5000", None),
    ("wal_autocheckpoint", "1000", None),
    # A WAL that one huge mail blew up is cut back at the next checkpoint.
    ("journal_size_limit", str(16 * 1024 * 1024), None),
    ("temp_store", "MEMORY", None),
)


@dataclass(slots=True)
class _Opened:
    """What one thread of one process has open."""

    pid: int
    connection: sqlite3.Connection
    door: int
    #: Which file it is, so that a file put in its place is noticed.
    inode: int


class SpoolFile:
    """Connections to one spool file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._mine: list[_Opened] = []
        # Connections of the process we were forked from: closing them here would
        # disturb the parent's locks, so they are kept and never touched.
        self._inherited: list[_Opened] = []
        #: Whether the file must be read through before it is believed.
        self._suspect = False

    def examine(self) -> None:
        """Read the whole file through; fail if it is damaged."""
        with self._errors():
            _examine(self._open().connection)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for reading, one consistent snapshot."""
        with self._errors():
            connection = self._open().connection
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a write transaction; commit on a clean exit."""
        with self._errors():
            opened = self._open()
            fcntl.flock(opened.door, fcntl.LOCK_EX)
            try:
                with _transaction(opened.connection) as connection:
                    yield connection
            finally:
                fcntl.flock(opened.door, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close this process's connections; a later use opens new ones."""
        for opened in self._mine:
            if opened.pid == os.getpid():
                _shut(opened)
        self._mine.clear()
        self._local = threading.local()

    def _open(self) -> _Opened:
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is not None and opened.pid != os.getpid():
            self._inherited += self._mine
            self._mine = []
            opened = None
        if opened is not None and _inode(self.path) != opened.inode:
            # A commit would go nowhere; and beside another file may still lie the
            # log of the old one, which SQLite would mix into it.
            self._throw_away(opened)
            self._suspect = True
            raise TemporaryError(
                f"the spool {self.path} was removed or replaced while otrsd had it"
                " open: mails that wait are in the old file. Stop otrsd and put that"
                " back; what is there now is used if it is sound"
            )
        if opened is None:
            opened = _open_file(self.path)
            self._local.opened = opened
            self._mine.append(opened)
            if self._suspect:
                _examine(opened.connection)
                self._suspect = False
        return opened

    def _throw_away(self, opened: _Opened) -> None:
        self._local.opened = None
        with suppress(ValueError):
            self._mine.remove(opened)
        _shut(opened)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OSError) as error:
            opened: _Opened | None = getattr(self._local, "opened", None)
            if opened is not None and opened.pid == os.getpid():
                self._throw_away(opened)
            raise refusal(error, self.path) from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def refusal(error: sqlite3.Error | OSError, path: Path) -> TemporaryError:
    """Return what to raise for ``error``: no room, or not now."""
    if isinstance(error, OSError):
        full, damaged = error.errno in _FULL_ERRNO, False
    else:
        code = (getattr(error, "sqlite_errorcode", 0) or 0) & _PRIMARY_CODE
        full, damaged = code in _FULL_SQLITE, code in _DAMAGED_SQLITE
    if damaged:
        return TemporaryError(
            f"the spool {path} is damaged: {error}. Stop otrsd, move {path.name},"
            f" {path.name}-wal and {path.name}-shm together to another folder, start"
            " otrsd again; `sqlite3 FILE .recover` there shows the mails inside"
        )
    if full:
        return SpoolFullError(
            f"the spool {path} can't take more: {error}; free some room on its disk"
        )
    return TemporaryError(f"the spool {path} can't be used for now: {error}")


def _examine(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        damage = sqlite3.DatabaseError(str(found).replace("\n", " "))
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1


def _shut(opened: _Opened) -> None:
    with suppress(sqlite3.Error):
        opened.connection.close()
    with suppress(OSError):
        os.close(opened.door)


def _make(path: Path, flags: int) -> bool:
    """Make the file for its owner alone; tell whether it was not there before.

    A file that is there is never opened here: closing it again would drop the locks
    that SQLite holds on it for another thread of this process (fcntl(2)). The next
    process to close the file would then believe it is the last, and remove the log
    with the mails in it.
    """
    try:
        os.close(os.open(path, flags | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None
        return False
    return True


def _open_file(path: Path) -> _Opened:
    # A symbolic link put in place of the file is refused (CWE-59).
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fresh = _make(path, flags)
    door = os.open(f"{path}.door", flags, 0o600)
    try:
        if fresh:
            _sync_folder(path.parent)
        fcntl.flock(door, fcntl.LOCK_EX)
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        fcntl.flock(door, fcntl.LOCK_UN)
    except BaseException:
        os.close(door)
        raise
    return _Opened(
        pid=os.getpid(), connection=connection, door=door, inode=_inode(path)
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for name, value, wanted in _PRAGMAS:
        connection.execute(f"PRAGMA {name}={value}").close()
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if wanted is not None and found != wanted:
            raise TemporaryError(
                f"the spool {path} is not safe here: {name} is {found}, not {wanted};"
                " a network file system can't hold it, set another state folder"
            )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"the spool {path} was made by a newer otrsd (version {version}, this"
            f" one knows {SCHEMA_VERSION}); install that one again"
        )
    if version == 0:
        with _transaction(connection):
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
