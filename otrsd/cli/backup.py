"""``otrsd backup FILE``: one consistent set, while the daemon runs.

The order makes it one set: a mail moves from the drop folder to the spool to the desk,
and each is copied after the one before it. A mail on its way is therefore in at least
one copy, and where it is in two, its id makes the second a no-op. Each copy by itself
is a snapshot: SQLite's backup interface, pg_dump, mariadb-dump in one transaction.
Nothing waits for it.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otrsd.cli.output import octets_text
from otrsd.cli.site import Site
from otrsd.errors import InputError, TemporaryError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.store.engine import Database

DUMP = "desk.dump"
#: What of the site's folder belongs to the set, beside the configuration's files.
_FOLDERS = ("plugins", "credentials")
_FILES = ("otrsd.service",)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup(site: Site, file: Path) -> int:
    """Write desk, spool, configuration, plugins and keys into the new FILE.

    FILE is a tar file, compressed where it ends in .gz or .tgz, and closed to others:
    it holds every mail and every key. The daemon need not stop. See otrsd restore.
    """
    target = file.absolute()
    if target.exists():
        raise InputError(f"{target} is there already. Name another file")
    with site.app() as app:
        rows = make(app, target)
    size = octets_text(target.stat().st_size)
    click.echo(
        f"{target}: {rows['ticket']:,} tickets, {rows['article']:,} articles, "
        f"{rows['spool']:,} mails in the spool, {size}"
    )
    click.echo(f"prove it: otrsd restore --verify {file}")
    return 0


def make(app: App, target: Path) -> Mapping[str, int]:
    """Copy everything and pack it; return the number of rows by table."""
    from otrsd import __version__
    from otrsd.cli.archive import FORMAT, Manifest, digest, pack
    from otrsd.store import schema

    with tempfile.TemporaryDirectory(
        prefix=".otrsd-backup-", dir=target.parent
    ) as made:
        folder = Path(made)
        members = {**_drops(app, folder), **_spool(app, folder)}
        before = _rows(app.database)
        members |= _desk(app, folder)
        members |= _keys(app) | _site_files(app)
        rows = {
            **_copied_rows(folder, before),
            "spool": _spool_rows(folder / "spool.db"),
        }
        manifest = Manifest(
            format=FORMAT,
            version=__version__,
            at=app.clock.now().isoformat(timespec="seconds"),
            database=app.database.dialect,
            schema=schema.status(app.database).current,
            rows=rows,
            files={name: digest(path) for name, path in members.items()},
        )
        pack(target, manifest, members)
    return rows


def _drops(app: App, folder: Path) -> dict[str, Path]:
    """Copy what the pipe has taken and the daemon has not moved yet."""
    copies = folder / "drop"
    copies.mkdir()
    members = {}
    for path in sorted((app.state / "drop").glob("*")):
        if not path.is_file():
            continue
        try:
            # Whole files only stand here, and nobody writes to them again.
            shutil.copyfile(path, copies / path.name, follow_symlinks=False)
        except FileNotFoundError:
            continue
        members[f"state/drop/{path.name}"] = copies / path.name
    return members


def _spool(app: App, folder: Path) -> dict[str, Path]:
    # The spool's own way makes the file where there is none yet.
    app.spool.counts()
    copy_sqlite(app.state / "spool.db", folder / "spool.db")
    return {"state/spool.db": folder / "spool.db"}


def _desk(app: App, folder: Path) -> dict[str, Path]:
    from otrsd.cli.servers import server_of

    path = app.database.path
    if path is not None:
        copy_sqlite(path, folder / "desk.db")
        return {"state/desk.db": folder / "desk.db"}
    server_of(app.database.dialect).dump(app.database, folder / DUMP)
    return {DUMP: folder / DUMP}


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file as of one moment; writers go on meanwhile."""
    try:
        reading = sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True)
        writing = sqlite3.connect(target)
        try:
            # All pages in one step: in WAL mode that is one read transaction.
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode=DELETE")
        finally:
            reading.close()
            writing.close()
    except sqlite3.Error as error:
        raise TemporaryError(f"{source} can't be copied now: {error}") from error
    target.chmod(0o600)


def _copied_rows(folder: Path, before: Mapping[str, int]) -> Mapping[str, int]:
    """Count in the copy; of a server's dump, take the count from before it."""
    from otrsd.store.engine import Database

    path = folder / "desk.db"
    if not path.exists():
        return before
    copy = Database(f"sqlite:///{path}")
    try:
        return _rows(copy)
    finally:
        copy.close()


def _rows(database: Database) -> Mapping[str, int]:
    from otrsd.store import figures

    with database.read() as connection:
        return figures.rows(connection)


def _spool_rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM spool").fetchone()[0])
    finally:
        connection.close()


def _keys(app: App) -> dict[str, Path]:
    keys = sorted((app.state / "keys").glob("*"))
    return {f"state/keys/{path.name}": path for path in keys if path.is_file()}


def _site_files(app: App) -> dict[str, Path]:
    root = app.config.root
    names = [name for name in app.config.files if not Path(name).is_absolute()]
    paths = [root / name for name in (*names, *_FILES)]
    for folder in _FOLDERS:
        paths += sorted((root / folder).rglob("*"))
    return {
        f"site/{path.relative_to(root)}": path
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))
