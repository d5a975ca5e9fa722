"""Named points at which a crash test may kill this process.

In production :func:`failpoint` returns at once. Where the environment variable
``OTRSD_FAILPOINT_DIR`` is set, a process that passes the point NAME looks for the
file ``NAME`` in that folder, removes it (so that exactly one process takes it)
and kills itself with SIGKILL: nothing is flushed, no handler runs.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

#: Every point there is; a test compares this list with the calls in the code.
FAILPOINTS = (
    "spool.before_commit",
    "spool.after_commit",
    "receiver.before_reply",
    "pipe.before_rename",
    "pipe.after_rename",
    "drop.after_spool",
    "fetch.fetched",
    "fetch.stored",
    "fetch.marked",
    "fetch.flagged",
    "fetch.gone",
    "worker.claimed",
    "worker.screened",
    "worker.in_transaction",
    "worker.before_commit",
    "worker.after_commit",
    "worker.spool_done",
    "relay.leased",
    "relay.index_committed",
    "relay.mail_sent",
)


def failpoint(name: str) -> None:
    """Kill this process if a crash test has armed ``name``."""
    folder = os.environ.get("OTRSD_FAILPOINT_DIR")
    if folder is None:
        return
    with suppress(OSError):
        Path(folder, name).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
