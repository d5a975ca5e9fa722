"""``otrsd restore FILE [DIR]``: a backup back into an empty folder, and proved.

Proved means: every octet is as it was packed, both SQLite files are whole, each table
has as many rows as then, the history's chain holds from its first row to its last, and
the index finds the words again. Where one of these fails, it is said and exit is 1.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otrsd.cli.site import Site
from otrsd.errors import InputError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.cli.archive import Manifest
    from otrsd.store.engine import Database

#: Names a database in which a dump may be tried.
SCRATCH = "OTRSD_VERIFY_DATABASE"
#: Tables that only ever grow: a dump, counted before it was made, has at least these.
_GROWING = ("ticket", "article", "content", "history", "history_payload")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Only prove it; restore into nothing.")
@click.pass_obj
def restore(site: Site, file: Path, folder: Path, *, verify: bool) -> int:
    """Bring the backup FILE back into the empty folder DIR, and prove it.

    A desk in PostgreSQL or MariaDB goes into the database that the restored
    configuration names, which must be empty. --verify proves a backup without leaving
    anything behind; of such a desk it proves that the dump is whole, and what is in it
    where $OTRSD_VERIFY_DATABASE is the URL of an empty database to try it in.
    """
    if verify:
        with tempfile.TemporaryDirectory(prefix="otrsd-verify-") as made:
            manifest = _bring_back(file, Path(made) / "site", site, verify=True)
    else:
        manifest = _bring_back(file, folder.absolute(), site, verify=False)
    rows = manifest.rows
    click.echo(
        f"{file}: {rows['ticket']:,} tickets, {rows['article']:,} articles, "
        f"{rows['spool']:,} mails in the spool, of {manifest.at}: all there"
    )
    if not verify:
        click.echo("\n".join(_next_steps(folder)))
    return 0


def _next_steps(folder: Path) -> list[str]:
    named = shlex.quote(str(folder))
    lines = [f"start it: otrsd -c {named} check && otrsd -c {named} run"]
    if os.geteuid() == 0:
        own = " ".join(
            shlex.quote(str(folder / name))
            for name in ("var", "credentials")
            if (folder / name).is_dir()
        )
        give = f"chgrp -R otrsd {named} && chown -R otrsd: {own}"
        lines.insert(0, f"give it to the daemon's user: {give}")
    return lines


def _bring_back(file: Path, folder: Path, site: Site, *, verify: bool) -> Manifest:
    from otrsd.cli.archive import unpack

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is not empty; nothing was written. Name an empty folder: "
            f"otrsd restore {file} DIR"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    before = os.umask(0o077)
    if not folder.exists():
        folder.mkdir()
        # As `init` makes it: its group reads the site, all may hand mail over.
        folder.chmod(0o751)
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as made:
            manifest = unpack(file, Path(made))
            _place(Path(made), folder)
            dump = Path(made) / "desk.dump"
            _make_whole(folder, dump, manifest, site, verify=verify)
    except BaseException:
        # It was empty before; a half-restored site would only be taken for a whole one.
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
    finally:
        os.umask(before)
    return manifest


def _place(unpacked: Path, folder: Path) -> None:
    """Move everything where a site has it."""
    for part, target in (("site", folder), ("state", folder / "var")):
        for path in sorted((unpacked / part).rglob("*")):
            if path.is_file():
                there = target / path.relative_to(unpacked / part)
                there.parent.mkdir(parents=True, exist_ok=True)
                path.rename(there)
                inside = there.relative_to(folder)
                if part == "site" and inside.parts[0] != "credentials":
                    _show_to_group(folder, inside)


def _show_to_group(folder: Path, inside: Path) -> None:
    """Let the daemon, who is another user than root, read what it is to run."""
    (folder / inside).chmod(0o640)
    for above in inside.parents[:-1]:
        (folder / above).chmod(0o750)


def _make_whole(
    folder: Path, dump: Path, manifest: Manifest, site: Site, *, verify: bool
) -> None:
    from otrsd.app import load
    from otrsd.clock import SystemClock
    from otrsd.daemon.runs import prepare_state

    # The state goes beside the site, whatever another one's environment says.
    environ = {k: v for k, v in site.environ.items() if k != "OTRSD_STATE"}
    _whole_sqlite(folder / "var/spool.db", "spool", manifest.rows["spool"])
    if verify and manifest.database != "sqlite":
        _prove_dump(folder, dump, manifest, environ.get(SCRATCH, ""))
        return
    if verify:
        _prove_copy(folder, manifest)
        return
    app = load(folder / "otrsd.yaml", environ, SystemClock())
    try:
        _same_kind(app.database, manifest, "site.database")
        prepare_state(app)
        if manifest.database != "sqlite":
            _load_dump(app.database, dump)
        _prove(app, manifest)
        _index(app)
    finally:
        app.close()


def _load_dump(database: Database, dump: Path) -> None:
    from otrsd.cli.servers import server_of
    from otrsd.store import figures

    with database.read() as connection:
        there = figures.rows(connection)
    if there:
        raise InputError(
            f"the database {database.shown} has tables already; nothing was loaded. "
            "Name an empty one"
        )
    server_of(database.dialect).load(database, dump)


def _prove_dump(folder: Path, dump: Path, manifest: Manifest, scratch: str) -> None:
    """Look at a dump; where there is a database to try it in, load it and prove it."""
    from otrsd.cli.servers import server_of
    from otrsd.store.engine import Database
    from otrsd.store.schema import empty, is_empty

    server_of(manifest.database).examine(dump)
    if not scratch:
        return
    database = Database(scratch)
    _same_kind(database, manifest, f"${SCRATCH}")
    if not is_empty(database):
        raise InputError(f"the database of ${SCRATCH} is not empty; nothing was done")
    try:
        server_of(database.dialect).load(database, dump)
        _prove_rows(database, folder / "var", manifest)
    finally:
        empty(database)
        database.close()


def _same_kind(database: Database, manifest: Manifest, named_by: str) -> None:
    kinds = {"mariadb": "mysql"}
    one, two = database.dialect, manifest.database
    if kinds.get(one, one) != kinds.get(two, two):
        raise InputError(
            f"the backup is of {two}, and {named_by} names {one}. Name one of {two}"
        )


def _prove(app: App, manifest: Manifest) -> None:
    """Compare counts, walk the chain; upgrade what an older otrsd has written."""
    from otrsd.store import schema

    if app.database.path is not None:
        _whole_sqlite(app.database.path)
    _prove_rows(app.database, app.state, manifest)
    schema.upgrade(app.database)


def _prove_copy(folder: Path, manifest: Manifest) -> None:
    from otrsd.store.engine import Database

    path = folder / "var/desk.db"
    _whole_sqlite(path)
    database = Database(f"sqlite:///{path}")
    try:
        _prove_rows(database, folder / "var", manifest)
    finally:
        database.close()


def _prove_rows(database: Database, state: Path, manifest: Manifest) -> None:
    """Compare the counts of all tables, and walk the history's chain."""
    from otrsd.app import history_key
    from otrsd.store import figures, history

    with database.read() as connection:
        found = figures.rows(connection)
        wrong = history.verify(connection, history_key(state))
    _compare(manifest, found)
    if wrong is not None:
        raise InputError(f"the history's chain is broken at row {wrong}")


def _compare(manifest: Manifest, found: Mapping[str, int]) -> None:
    wanted = {name: count for name, count in manifest.rows.items() if name != "spool"}
    if manifest.database == "sqlite":
        lacking = [name for name, count in wanted.items() if found.get(name) != count]
    else:
        lacking = [name for name in _GROWING if found.get(name, 0) < wanted[name]]
    if lacking:
        said = "; ".join(
            f"{name} has {found.get(name, 0)} rows, not {wanted[name]}"
            for name in lacking
        )
        raise InputError(f"the backup is not whole: {said}")


def _whole_sqlite(path: Path, table: str = "", rows: int = 0) -> None:
    connection = sqlite3.connect(path)
    try:
        said = connection.execute("PRAGMA integrity_check").fetchone()[0]
        count = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name of ours
        found = connection.execute(count).fetchone()[0] if table else rows
    except sqlite3.Error as error:
        raise InputError(f"{path.name} of the backup is damaged: {error}") from error
    finally:
        connection.close()
    if said != "ok" or found != rows:
        raise InputError(f"{path.name} of the backup is damaged: {said}, {found} rows")


def _index(app: App) -> None:
    from otrsd.desk.search import rebuild

    rebuild(app.database, app.index, lambda _done, _total: None)
