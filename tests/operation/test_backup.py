"""`otrsd backup` of a running site, restored and proved."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from otrsd.cli.servers import server_of
from otrsd.errors import InputError

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow


@pytest.fixture
def filled(site: Any) -> Any:
    """Give a running site with some tickets."""
    site.start()
    for number in range(8):
        site.send(f"sailing {number}")
    site.until(lambda: len(site.titles()) == 8)
    return site


def hits(site: Any, folder: Path) -> str:
    found = site.otrsd("-c", str(folder), "search", "sailing", "--json", here=False)
    assert found.returncode == 0, found.stderr
    return str(found.stdout)


def test_backup_and_restore_give_the_same_site(filled: Any, tmp_path: Path) -> None:
    file, there = tmp_path / "b.tar", tmp_path / "there"
    made = filled.otrsd("backup", str(file))
    assert made.returncode == 0, made.stderr
    assert "8 tickets, " in made.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert filled.otrsd("restore", "--verify", str(file), here=False).returncode == 0
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    filled.until(lambda: hits(filled, filled.folder).count('"sailing ') == 8)
    before = hits(filled, filled.folder)
    filled.stop()
    restored = filled.otrsd("restore", str(file), str(there), here=False)
    assert restored.returncode == 0, restored.stderr
    assert hits(filled, there) == before
    assert filled.otrsd("-c", str(there), "check", here=False).returncode == 0
    assert stat.S_IMODE((there / "var/keys/history.key").stat().st_mode) == 0o600
    # The daemon is in the group of these, and another user than who restores them.
    modes = [stat.S_IMODE((there / n).stat().st_mode) for n in (".", "config")]
    assert modes == [0o751, 0o750]


def test_restored_site_takes_up_its_work(filled: Any, tmp_path: Path) -> None:
    filled.stop()
    taken = filled.otrsd(
        *("pipe", "-c", str(filled.folder), "help@acme.test"),
        stdin="From: me@example.org\nSubject: in the drop folder\n\nHi\n",
    )
    assert taken.returncode == 0
    file, there = tmp_path / "b.tar.gz", tmp_path / "there"
    assert filled.otrsd("backup", str(file)).returncode == 0
    assert filled.otrsd("restore", str(file), str(there), here=False).returncode == 0
    filled.folder.rename(tmp_path / "lost")
    there.rename(filled.folder)
    filled.start()
    filled.until(lambda: "in the drop folder" in filled.titles())
    assert len(filled.titles()) == 9


def test_backup_under_load_loses_no_mail(filled: Any, tmp_path: Path) -> None:
    sent: list[str] = []
    over = threading.Event()

    def keep_sending() -> None:
        while not over.is_set():
            filled.send(f"load {len(sent)}")
            sent.append(f"load {len(sent)}")

    sender = threading.Thread(target=keep_sending)
    sender.start()
    filled.until(lambda: len(sent) > 20)
    known = len(sent)
    file, there = tmp_path / "b.tar", tmp_path / "there"
    made = filled.otrsd("backup", str(file))
    over.set()
    sender.join()
    assert made.returncode == 0, made.stderr
    filled.stop()
    assert filled.otrsd("restore", str(file), str(there), here=False).returncode == 0
    filled.folder.rename(tmp_path / "old")
    there.rename(filled.folder)
    filled.start()
    wanted = {f"load {n}" for n in range(known)}
    filled.until(lambda: wanted <= set(filled.titles()))
    titles = filled.titles()
    assert len(titles) == len(set(titles))


def test_nothing_is_overwritten(filled: Any, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    file.write_text("mine")
    assert filled.otrsd("backup", str(file)).returncode == 1
    assert file.read_text() == "mine"
    good = tmp_path / "c.tar"
    assert filled.otrsd("backup", str(good)).returncode == 0
    refused = filled.otrsd("restore", str(good), str(tmp_path), here=False)
    assert (refused.returncode, "is not empty" in refused.stderr) == (1, True)


@pytest.mark.parametrize("damage", ["cut", "flipped", "climbing", "linked", "text"])
def test_damaged_backup_is_refused(filled: Any, tmp_path: Path, damage: str) -> None:
    file, bad = tmp_path / "b.tar", tmp_path / "bad.tar"
    assert filled.otrsd("backup", str(file)).returncode == 0
    octets = bytearray(file.read_bytes())
    if damage == "cut":
        bad.write_bytes(octets[: len(octets) // 2])
    elif damage == "flipped":
        octets[octets.index(b"SQLite format 3") + 60] ^= 1
        bad.write_bytes(octets)
    elif damage == "text":
        bad.write_text("no tar file")
    else:
        bad.write_bytes(octets)
        with tarfile.open(bad, "a") as tar:
            info = tarfile.TarInfo("../out" if damage == "climbing" else "site/x")
            info.type = tarfile.SYMTYPE if damage == "linked" else tarfile.REGTYPE
            info.linkname = "/etc/passwd"
            tar.addfile(info)
    refused = filled.otrsd("restore", str(bad), str(tmp_path / "there"), here=False)
    assert refused.returncode == 1
    assert "is no whole backup" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


#: Kind of server → its variable, its usual URL, the program that dumps it.
SERVERS = {
    "postgresql": (
        "OTRSD_TEST_POSTGRESQL",
        "postgresql+psycopg://postgres@127.0.0.1/test",
        "pg_dump",
    ),
    "mariadb": (
        "OTRSD_TEST_MARIADB",
        "mysql+pymysql://root@127.0.0.1/test",
        "mariadb-dump",
    ),
}


@pytest.fixture(
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in SERVERS]
)
def databases(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Give the URLs of three empty databases on a server."""
    variable, usual, program = SERVERS[request.param]
    url = os.environ.get(variable, usual)
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    names = [f"otrsd_{uuid.uuid4().hex[:12]}" for _ in range(3)]
    try:
        with server.connect() as connection:
            for name in names:
                connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.DBAPIError:
        server.dispose()
        pytest.skip(f"no server at {url} (set {variable})")
    yield [
        sa.make_url(url).set(database=name).render_as_string(hide_password=False)
        for name in names
    ]
    force = " WITH (FORCE)" if request.param == "postgresql" else ""
    with server.connect() as connection:
        for name in names:
            connection.execute(sa.text(f"DROP DATABASE {name}{force}"))
    server.dispose()


def test_desk_on_a_server(site: Any, tmp_path: Path, databases: list[str]) -> None:
    (site.folder / "config/05-db.yaml").write_text("site: {database: {$env: DESK}}\n")
    site.start(DESK=databases[0])
    site.send("sailing on a server")
    site.until(lambda: _titles(site, databases[0]) == ["sailing on a server"])
    file, there = tmp_path / "b.tar", tmp_path / "there"
    made = site.otrsd("backup", str(file), DESK=databases[0])
    assert made.returncode == 0, made.stderr
    for scratch, code in ((databases[0], 1), (databases[2], 0), (databases[2], 0)):
        tried = site.otrsd(
            *("restore", "--verify", str(file)),
            here=False,
            OTRSD_VERIFY_DATABASE=scratch,
        )
        assert tried.returncode == code, tried.stderr
    full = site.otrsd("restore", str(file), str(there), here=False, DESK=databases[0])
    assert (full.returncode, "has tables already" in full.stderr) == (1, True)
    assert list(there.iterdir()) == []
    done = site.otrsd("restore", str(file), str(there), here=False, DESK=databases[1])
    assert done.returncode == 0, done.stderr
    assert _titles(site, databases[1], there) == ["sailing on a server"]


def test_a_cut_dump_is_no_dump(tmp_path: Path) -> None:
    dump = tmp_path / "desk.dump"
    dump.write_text("-- MariaDB dump 10.19\nINSERT INTO ticket VALUES (1")
    with pytest.raises(InputError, match="no whole dump"):
        server_of("mysql").examine(dump)


def _titles(site: Any, database: str, folder: Path | None = None) -> list[str]:
    import json

    named = ("-c", str(folder or site.folder))
    listed = site.otrsd(*named, "ticket", "list", "--json", here=False, DESK=database)
    return [each["title"] for each in json.loads(listed.stdout or "[]")]
