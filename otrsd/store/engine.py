"""The desk's database: how to read from it and how to write to it.

Reading: ``with database.read() as connection``. Writing: ``with database.write()
as connection``, one transaction, committed on a clean exit. On SQLite every writer
of every process first takes a ``flock`` beside the file, then ``BEGIN IMMEDIATE``:
SQLite's own busy handler is unfair (two busy writers starve a third for half a
minute), and a deferred BEGIN fails at once when another writer was first.

A database that does not answer raises :class:`~otrsd.errors.DatabaseAwayError`;
every other database error stays as it is. Nothing is opened before the first use,
so that a process may fork after making a ``Database``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool, QueuePool

from otrsd.config.problem import without_passwords
from otrsd.errors import ConfigError, DatabaseAwayError

__all__ = ["Connection", "Database", "is_away", "is_contended"]

#: SQLite errors that mean "not now", by their text.
_AWAY = (
    "locked",
    "disk i/o error",
    "unable to open",
    "readonly",
    "disk is full",
    "busy",
    # A damaged file: mail waits in the spool until a person has put it right.
    "malformed",
    "not a database",
)
#: Can't connect, gone away, connection lost, too many connections, shutdown; no
#: room, read-only.
_AWAY_MARIADB = frozenset(
    {0, 1021, 1040, 1053, 1114, 1203, 1290, 1836, 1927, 2002, 2003, 2006, 2013, 2055}
)
#: SQLSTATE: connection, operator intervention, insufficient resources; read-only
#: (a server that has become a standby).
_AWAY_POSTGRESQL = ("08", "57P", "53", "25006")
#: Serialization failure, deadlock, lock or statement not done in time.
_CONTENDED = frozenset({"40001", "40P01", "55P03", "57014", 1205, 1213, 1969})
#: Seconds (milliseconds where the name says so) until a silent server is away.
_PATIENCE: dict[str, dict[str, Any]] = {
    "postgresql": {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "options": "-c lock_timeout=15s -c statement_timeout=30s",
    },
    "mysql": {"connect_timeout": 5, "read_timeout": 30, "write_timeout": 30},
}


class Database:
    """Connections to one database, made in the process that uses them."""

    def __init__(self, url: str) -> None:
        try:
            self.url = sa.make_url(url)
        except (exc.ArgumentError, ValueError):
            # Not with its cause: that quotes what it takes for the port.
            raise ConfigError(
                "'site.database' can't be read as a URL. Write "
                "postgresql+psycopg://USER:PASSWORD@HOST/NAME, and in the password "
                "%40 for @, %3A for :, %2F for /"
            ) from None
        self._engine: Engine | None = None
        self._pid = 0

    @property
    def dialect(self) -> str:
        """Return ``sqlite``, ``postgresql``, ``mysql`` (MariaDB too) or ``oracle``."""
        return self.url.get_backend_name()

    @property
    def path(self) -> Path | None:
        """Return the SQLite file; ``None`` for a server."""
        if self.dialect != "sqlite" or not self.url.database:
            return None
        return Path(self.url.database)

    @property
    def engine(self) -> Engine:
        """Return this process's engine; a fork gets one of its own."""
        if self._engine is None or self._pid != os.getpid():
            self._engine = self._make()
            self._pid = os.getpid()
        return self._engine

    def close(self) -> None:
        """Close this process's connections; a later use opens new ones."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading; on SQLite it is one consistent snapshot."""
        with self._errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection inside a write transaction; commit on a clean exit."""
        with self._errors(), self._door(), self.engine.connect() as connection:
            writing = connection.execution_options(otrsd_begin="BEGIN IMMEDIATE")
            with writing.begin():
                yield writing

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Wait in line with every other writer of this SQLite file."""
        path = self.path
        if path is None:
            yield
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            door = os.open(f"{path}.door", flags, 0o600)
        except OSError as error:
            raise DatabaseAwayError(
                f"the database {path} can't be written: {error.strerror}"
            ) from error
        try:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield
        finally:
            os.close(door)

    @property
    def shown(self) -> str:
        """The URL as a message may have it: without its passwords."""
        return without_passwords(self.url.render_as_string(hide_password=True))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            if is_away(error):
                raise DatabaseAwayError(
                    f"the database {self.shown} does not answer: {error.orig}"
                ) from error
            raise

    def _make(self) -> Engine:
        if self.dialect == "sqlite":
            return self._make_sqlite()
        try:
            return self._make_server()
        except (exc.NoSuchModuleError, ImportError) as error:
            raise ConfigError(
                f"'site.database' asks for {self.url.drivername}, and its driver "
                "is not installed. Try: pip install 'otrsd[postgresql]' or "
                "'otrsd[mariadb]'"
            ) from error

    def _make_server(self) -> Engine:
        return sa.create_engine(
            self.url,
            # Parameters are mails; an error's text goes to the log.
            hide_parameters=True,
            # A server that hangs must become one that is away, before the
            # supervisor ends the worker that waits for it.
            connect_args=_PATIENCE.get(self.dialect, {}),
            poolclass=QueuePool,
            pool_size=2,
            max_overflow=4,
            pool_pre_ping=True,
            pool_recycle=1800,
            isolation_level="READ COMMITTED",
        )

    def _make_sqlite(self) -> Engine:
        if self.path is not None:
            # SQLite gives its side files the mode of the database: mails stay ours.
            # Only a new file is opened here: closing one that is in use would drop
            # the locks that SQLite holds on it for this process (POSIX locks).
            with suppress(OSError):
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
                os.close(os.open(self.path, flags, 0o600))
        engine = sa.create_engine(
            self.url,
            hide_parameters=True,
            poolclass=QueuePool if self.path else NullPool,
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:
            # We say BEGIN ourselves: the driver's own is deferred.
            connection.isolation_level = None
            cursor = connection.cursor()
            for pragma in (
                "journal_mode=WAL",
                # Part of promise P1: with NORMAL a power cut undoes a commit.
                "synchronous=FULL",
                "busy_timeout=5000",
                "foreign_keys=ON",
                "temp_store=MEMORY",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            connection.exec_driver_sql(options.get("otrsd_begin", "BEGIN"))

        return engine


def is_away(error: exc.DBAPIError) -> bool:
    """Tell whether the database is unreachable for now, not the statement wrong."""
    if error.connection_invalidated:
        return True
    driver, code = _code(error)
    if driver == "sqlite3":
        return isinstance(error, exc.DatabaseError) and any(
            sign in str(code).lower() for sign in _AWAY
        )
    if driver == "pymysql":
        return code in _AWAY_MARIADB
    if code is None:
        return isinstance(error, exc.OperationalError | exc.InterfaceError)
    return str(code).startswith(_AWAY_POSTGRESQL)


def is_contended(error: BaseException) -> bool:
    """Tell whether others were in the way: a deadlock, a lock not got in time."""
    if not isinstance(error, exc.DBAPIError):
        return False
    return _code(error)[1] in _CONTENDED


def _code(error: exc.DBAPIError) -> tuple[str, object]:
    """Return the driver, and its code of the error: a text, number or SQLSTATE."""
    cause = error.orig
    driver = type(cause).__module__.partition(".")[0]
    if driver == "sqlite3":
        return driver, str(cause)
    if driver == "pymysql":
        return driver, cause.args[0] if cause and cause.args else None
    return driver, getattr(cause, "sqlstate", None)
