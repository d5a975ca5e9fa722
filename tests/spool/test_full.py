from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from otrsd.clock import FakeClock
from otrsd.errors import SchemaError, SpoolFullError, TemporaryError
from otrsd.spool import Arrival, Spool
from otrsd.spool.file import refusal
from otrsd.spool.room import Floors, check_disk, check_size

MakeArrival = Callable[..., Arrival]


def test_the_spools_own_limit_is_kept():
    check_size(90, 10, Floors(max_size=100))
    with pytest.raises(SpoolFullError, match=r"spool\.max_size"):
        check_size(91, 10, Floors(max_size=100))


def test_the_room_of_delivered_mails_is_free_again(
    tmp_path: Path, clock: FakeClock, arrival: MakeArrival
):
    spool = Spool(
        tmp_path / "spool.db", clock, floors=Floors(max_size=3_000_000, min_free=0)
    )
    made = arrival(b"x" * 2_000_000)
    spool.put([made])
    with pytest.raises(SpoolFullError):
        spool.room(2_000_000)
    spool.done([made.id])
    spool.room(2_000_000)
    spool.close()


def test_a_disk_below_its_floor_takes_nothing(tmp_path: Path):
    # Others write to this disk, too: all of it never fits.
    size = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    check_disk(tmp_path, 1, Floors(min_free=0))
    with pytest.raises(SpoolFullError, match=r"spool\.min_free"):
        check_disk(tmp_path, 1, Floors(min_free=100))
    with pytest.raises(SpoolFullError):
        check_disk(tmp_path, size, Floors(min_free=0))
    check_disk(tmp_path, size, Floors(min_free=0), spare=size)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), SpoolFullError),
        (OSError(5, "Input/output error"), SpoolFullError),
        (OSError(13, "Permission denied"), TemporaryError),
        (sqlite3.OperationalError("database is locked"), TemporaryError),
    ],
)
def test_an_error_becomes_no_room_or_not_now(error: OSError, kind: type):
    assert type(refusal(error, Path("spool.db"))) is kind


def test_a_file_size_limit_is_no_room_and_good_again_after(tmp_path: Path):
    script = """
        import resource, signal, sys
        from pathlib import Path
        from otrsd.clock import SystemClock
        from otrsd.errors import SpoolFullError
        from otrsd.model.envelope import Envelope
        from otrsd.spool import Arrival, Spool
        clock = SystemClock()
        spool = Spool(Path(sys.argv[1]), clock)
        def put(letter, size):
            envelope = Envelope(received_at=clock.now())
            spool.put([Arrival.of(letter * 26, envelope, [b"x" * size])])
        put("0", 10)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            put("1", 5_000_000)
        except SpoolFullError:
            print("full")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        put("2", 5_000_000)
        print(*(entry.id[0] for entry in spool.entries()))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "spool.db"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines() == ["full", "0 2"]


def test_a_newer_spool_is_refused(tmp_path: Path, clock: FakeClock):
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(SchemaError, match="newer otrsd"):
        Spool(path, clock).counts()


def test_a_symbolic_link_is_refused(tmp_path: Path, clock: FakeClock):
    (tmp_path / "spool.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TemporaryError):
        Spool(tmp_path / "spool.db", clock).counts()
    assert not (tmp_path / "elsewhere").exists()


def test_a_removed_folder_refuses_for_now_and_is_good_again(
    tmp_path: Path, clock: FakeClock, arrival: MakeArrival
):
    folder = tmp_path / "state"
    folder.mkdir()
    spool = Spool(folder / "spool.db", clock)
    spool.put([arrival()])
    folder.rename(tmp_path / "gone")
    with pytest.raises(TemporaryError):
        spool.put([arrival()])
    (tmp_path / "gone").rename(folder)
    spool.put([arrival()])
    assert len(spool.entries()) == 2
    spool.close()


def test_garbage_in_the_file_refuses_for_now(tmp_path: Path, clock: FakeClock):
    (tmp_path / "spool.db").write_bytes(b"this is no database " * 1000)
    with pytest.raises(TemporaryError, match="not a database"):
        Spool(tmp_path / "spool.db", clock).counts()
    assert (tmp_path / "spool.db").read_bytes().startswith(b"this is no")


def test_a_removed_file_is_told_once_and_then_made_anew(
    spool: Spool, arrival: MakeArrival
):
    spool.put([arrival()])
    spool.path.unlink()
    with pytest.raises(TemporaryError, match="removed or replaced"):
        spool.put([arrival()])
    spool.put([arrival()])
    assert len(spool.entries()) == 1


def test_a_file_replaced_under_its_log_takes_no_mail(
    spool: Spool, arrival: MakeArrival, tmp_path: Path
):
    # So much that a part of it has left the log for the file.
    for _ in range(60):
        spool.put([arrival(b"x" * 100_000)])
    (tmp_path / "other").write_bytes(os.urandom(spool.path.stat().st_size))
    (tmp_path / "other").replace(spool.path)
    for reason in ("removed or replaced", "damaged.*move", "damaged.*move"):
        with pytest.raises(TemporaryError, match=reason):
            spool.put([arrival()])


def test_examining_finds_damage_that_a_write_does_not(
    spool: Spool, arrival: MakeArrival
):
    for _ in range(100):
        spool.put([arrival(b"x" * 2000)])
    spool.close()
    with spool.path.open("r+b") as file:
        file.seek(spool.path.stat().st_size // 4096 // 2 * 4096)
        file.write(os.urandom(4096))
    with pytest.raises(TemporaryError, match="damaged"):
        spool.examine()
