"""Databases of our own: a fresh one on a server that runs, or a whole server.

:func:`fresh_database` makes and drops a database on the server of a URL.
:class:`Cluster` is a PostgreSQL in a folder of its own, on a free loopback port, run
by an ordinary user where we are root; it can be stopped as a power cut would.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from bench.site import free_ports
from bench.waiting import NotInTimeError

#: Who runs a server that refuses to be run by root, the first that exists.
_USERS = ("postgres", "nobody")


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Give the URL of a new database on the server of ``url``; drop it later."""
    server = sa.make_url(url)
    if server.get_backend_name() == "sqlite":
        yield url
        return
    name = f"otrsd_{secrets.token_hex(6)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise NotInTimeError(f"no database can be made there: {error.orig}") from error
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            force = " WITH (FORCE)" if "postgresql" in engine.name else ""
            connection.execute(sa.text(f"DROP DATABASE {name}{force}"))
        engine.dispose()


def postgresql_programs() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``; ``None`` where there is none."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in places if (each / "pg_ctl").exists()), None)


class Cluster:
    """A PostgreSQL server of our own."""

    def __init__(self, folder: Path) -> None:
        programs = postgresql_programs()
        if programs is None:
            raise NotInTimeError("there is no PostgreSQL on this machine (initdb)")
        self._programs = programs
        self._folder = folder
        folder.mkdir(mode=0o700)
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = _ordinary_user()
            shutil.chown(folder, self._user)
        (self._port,) = free_ports(1)
        self._run("initdb", "-D", str(self._data), "-U", "otrsd", "-A", "trust", "-N")

    @property
    def url(self) -> str:
        """Return the SQLAlchemy URL of its first database."""
        return f"postgresql+psycopg://otrsd@127.0.0.1:{self._port}/postgres"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        log = str(self._folder / "log")
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start"
        )

    def stop(self) -> None:
        """Stop it as a power cut would: nothing is finished."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            check=False,
            # A server that goes on would keep our pipes open: its words go nowhere.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
        )
        if done.returncode:
            raise NotInTimeError(f"{program} {' '.join(arguments)}: failed")


def _ordinary_user() -> str:
    known = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in _USERS if name in known)
