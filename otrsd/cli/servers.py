"""Dumps of a desk that lives in a database server, by the server's own programs.

In: a database, and a file to write or to read. A password never stands on a command
line or in the environment, where others could read it: the programs get it in a file
that only we can read and that is gone afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from otrsd.errors import InputError, TemporaryError

if TYPE_CHECKING:
    from otrsd.store.engine import Database

#: How a dump of mariadb-dump ends; one that was cut does not.
_COMPLETE = b"-- Dump completed"
_TAIL = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How the desk of one kind of server is dumped, looked at and loaded."""

    dump: Callable[[Database, Path], None]
    #: Raises InputError where the file is no whole dump.
    examine: Callable[[Path], None]
    load: Callable[[Database, Path], None]


def server_of(dialect: str) -> Server:
    """Return the programs for a dialect; InputError where there are none."""
    if dialect not in _SERVERS:
        raise InputError(
            f"a backup of {dialect} is not made here: take the server's own after a "
            "copy of the state folder"
        )
    return _SERVERS[dialect]


def _dump_postgresql(database: Database, target: Path) -> None:
    arguments = ("--no-owner", "--no-privileges", "--format=custom")
    _postgresql(database, "pg_dump", *arguments, f"--file={target}")


def _examine_postgresql(dump: Path) -> None:
    with dump.open("rb") as file:
        if file.read(5) != b"PGDMP":
            raise InputError(f"{dump.name} is no dump of PostgreSQL")
    if shutil.which("pg_restore"):
        # Reads it to the end as a script; nothing is connected to.
        _run("pg_restore", ["--file=/dev/null", str(dump)], "postgresql-client")


def _load_postgresql(database: Database, dump: Path) -> None:
    arguments = ("--no-owner", "--no-privileges", "--exit-on-error")
    _postgresql(database, "pg_restore", *arguments, "--single-transaction", str(dump))


def _postgresql(database: Database, program: str, *arguments: str) -> None:
    url = database.url
    plain = url.set(drivername="postgresql", password=None)
    password = str(url.password or "").replace("\\", "\\\\").replace(":", "\\:")
    with _secret(f"*:*:*:*:{password}\n") as file:
        environ = {**os.environ, "PGCONNECT_TIMEOUT": "10"}
        if url.password:
            environ["PGPASSFILE"] = file
        where = f"--dbname={plain.render_as_string(hide_password=False)}"
        _run(program, [*arguments, where], "postgresql-client", environ=environ)


def _dump_mariadb(database: Database, target: Path) -> None:
    arguments = (
        # One consistent picture, and nobody waits for it.
        *("--single-transaction", "--skip-lock-tables", "--quick", "--hex-blob"),
        *("--no-tablespaces", "--default-character-set=utf8mb4"),
        f"--result-file={target}",
    )
    _mariadb(database, "mariadb-dump", *arguments)
    target.chmod(0o600)


def _examine_mariadb(dump: Path) -> None:
    with dump.open("rb") as file:
        head = file.read(_TAIL)
        file.seek(max(0, dump.stat().st_size - _TAIL))
        if b" dump " not in head or _COMPLETE not in file.read():
            raise InputError(f"{dump.name} is no whole dump of MariaDB")


def _load_mariadb(database: Database, dump: Path) -> None:
    _examine_mariadb(dump)
    with dump.open("rb") as file:
        _mariadb(
            database,
            "mariadb",
            "--batch",
            "--default-character-set=utf8mb4",
            stdin=file,
        )


def _mariadb(
    database: Database,
    program: str,
    *arguments: str,
    stdin: IO[bytes] | None = None,
) -> None:
    url = database.url
    values = {
        "user": url.username,
        "password": url.password,
        "host": url.host,
        "port": url.port,
        "socket": url.query.get("unix_socket"),
    }
    lines = [f"{name}={_quoted(value)}" for name, value in values.items() if value]
    with _secret("\n".join(["[client]", *lines, ""])) as file:
        given = [f"--defaults-extra-file={file}", *arguments, str(url.database)]
        _run(program, given, "mariadb-client", stdin=stdin)


def _quoted(value: object) -> str:
    """Return a value as an option file of MariaDB has it."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


@contextmanager
def _secret(text: str) -> Iterator[str]:
    """Give the name of a file with ``text`` that only we can read."""
    with tempfile.NamedTemporaryFile("w", prefix="otrsd-", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


def _run(
    program: str,
    arguments: Sequence[str],
    package: str,
    *,
    environ: dict[str, str] | None = None,
    stdin: IO[bytes] | None = None,
) -> None:
    path = shutil.which(program)
    if path is None:
        raise InputError(f"{program} is not installed. Try: apt install {package}")
    done = subprocess.run(  # noqa: S603 - the server's own program, by its full path
        [path, *arguments],
        env=environ,
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise TemporaryError(f"{program} failed: {said}")


_MARIADB = Server(dump=_dump_mariadb, examine=_examine_mariadb, load=_load_mariadb)
_SERVERS = {
    "postgresql": Server(
        dump=_dump_postgresql, examine=_examine_postgresql, load=_load_postgresql
    ),
    "mysql": _MARIADB,
    "mariadb": _MARIADB,
}
