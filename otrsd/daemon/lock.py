"""One daemon a state folder: ``state/otrsd.lock``, locked as long as one runs.

The lock is an flock on an open file that the template and all children inherit, so
it is free only when the last process of the daemon is gone. The file holds the
supervisor's process id. A stale file means nothing: only the lock counts.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from otrsd.errors import TemporaryError

LOCK_NAME = "otrsd.lock"
#: How long children that a killed supervisor left may take to end (reliability F07).
ORPHANS_SECONDS = 20.0
#: A status command holds the lock for microseconds while it looks at it.
_GLANCE_SECONDS = 0.5
_STEP_SECONDS = 0.05


class AlreadyRunningError(TemporaryError):
    """Another daemon runs on this state folder."""


class StateLock:
    """This daemon's hold on a state folder; also a context manager."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go; processes that inherited the lock still hold it."""
        os.close(self._descriptor)


def take(state: Path, pause: Callable[[float], object] | None = None) -> StateLock:
    """Lock ``state`` for this process, or raise :class:`AlreadyRunningError`.

    Where the process named in the file is dead, its children are still ending:
    they are waited for.
    """
    path = state / LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    pause = pause or threading.Event().wait
    waited = 0.0
    while not _locked(descriptor):
        holder = _holder(descriptor)
        patience = _GLANCE_SECONDS if _alive(holder) else ORPHANS_SECONDS
        if waited >= patience:
            os.close(descriptor)
            raise AlreadyRunningError(_refusal(path, holder))
        pause(_STEP_SECONDS)
        waited += _STEP_SECONDS
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return StateLock(descriptor)


def holder(state: Path) -> int | None:
    """Return the process id of the daemon that runs on ``state``, if one does."""
    try:
        descriptor = os.open(state / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _locked(descriptor, fcntl.LOCK_SH) else _holder(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _alive(pid: int) -> bool:
    if not pid:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refusal(path: Path, holder: int) -> str:
    who = f"process {holder}" if holder else "another process"
    return (
        f"{path}: {who} already runs otrsd on this state folder. "
        f"Stop it first, or give this one a folder of its own with OTRSD_STATE."
    )
