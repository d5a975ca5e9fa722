"""Whether a commit is on the disk: asked from the kernel, not from SQLite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from otrsd.spool import Arrival, Spool

COMMITS = 20


def _traced(script: str, *arguments: object) -> list[str]:
    """Run ``script`` under strace; return its sync and write calls."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    command = [strace, "-f", "-qq", "-e", "trace=fsync,fdatasync,write"]
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("strace is not permitted here")
    ran = subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stderr.splitlines()


def test_every_acknowledged_commit_is_synced_before_it_is_acknowledged(tmp_path: Path):
    calls = _traced(
        f"""
        import os, sys
        from pathlib import Path
        from otrsd.clock import SystemClock
        from otrsd.model.envelope import Envelope
        from otrsd.spool import Arrival, Spool
        clock = SystemClock()
        spool = Spool(Path(sys.argv[1]), clock)
        spool.counts()
        for n in range({COMMITS}):
            os.write(1, b"put")
            envelope = Envelope(received_at=clock.now())
            spool.put([Arrival.of(f"{{n:026}}", envelope, [b"x"])])
            os.write(1, b"ack")
        """,
        tmp_path / "spool.db",
    )
    synced = acknowledged = 0
    for call in calls:
        if '"put"' in call:
            synced = 0
        elif "sync(" in call:
            synced += 1
        elif '"ack"' in call:
            assert synced >= 1
            acknowledged += 1
    assert acknowledged == COMMITS


def test_every_connection_is_set_to_full(spool: Spool):
    with spool._file.read() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_fork_has_a_connection_of_its_own(
    spool: Spool, arrival: Callable[..., Arrival]
):
    spool.put([arrival()])
    made = arrival()
    child = os.fork()
    if child == 0:
        spool.put([made])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert spool.content(made.id)
    assert len(spool.entries()) == 2
