"""A spool that two threads of one process use keeps its locks."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from otrsd.clock import FakeClock
from otrsd.spool import Spool

OPEN_AND_CLOSE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM spool").fetchone()
connection.close()
"""


def test_second_thread_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, FakeClock())
    spool.counts()
    thread = threading.Thread(target=spool.counts)
    thread.start()
    thread.join()
    # Whoever closes the file last may remove the log: this one must not be the last.
    subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, path], check=True)
    log_is_there = (tmp_path / "spool.db-wal").exists()
    spool.close()
    assert log_is_there
