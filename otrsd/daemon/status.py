"""What the daemon's processes do right now: ``state/status.json``.

The supervisor writes the file, whole and at once, when something has changed and at
most once a second; ``otrsd status`` reads it without the daemon's help. A file whose
daemon is dead is recognised by the lock that nobody holds. The file is only ever a
picture: losing it loses nothing, and a disk without room costs only the picture.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from otrsd.daemon import lock

STATUS_NAME = "status.json"
_SECONDS_BETWEEN = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One child; times are ISO 8601 in UTC."""

    name: str
    #: 0 while it is dead.
    pid: int
    #: starting, ready, stopping, waiting (for its restart) or stopped.
    state: str
    #: When it came into this life, or when it died.
    since: str
    restarts: int
    #: Empty while it waits for work.
    stage: str = ""
    #: The plugin whose code runs right now.
    plugin: str = ""
    spool_id: str = ""
    #: What ended the life before, with what it had in hand; empty if none did.
    last_death: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """The supervisor and its children."""

    pid: int
    #: starting, ready or stopping.
    state: str
    since: str
    processes: tuple[ProcessStatus, ...] = ()


def picture(
    state: str, since: datetime, processes: Sequence[ProcessStatus]
) -> DaemonStatus:
    """Return what this daemon shows of itself."""
    return DaemonStatus(
        pid=os.getpid(),
        state=state,
        since=since.isoformat(timespec="seconds"),
        processes=tuple(processes),
    )


class StatusFile:
    """Where the supervisor shows what goes on."""

    def __init__(self, state: Path) -> None:
        self._path = state / STATUS_NAME
        self._shown: DaemonStatus | None = None
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Tell whether a second has passed since the last picture."""
        return now >= self._next

    def show(self, status: DaemonStatus, now: float) -> None:
        """Write ``status`` if it differs from what the file shows."""
        self._next = now + _SECONDS_BETWEEN
        if status == self._shown:
            return
        fresh = self._path.with_suffix(".new")
        with suppress(OSError):
            fresh.write_text(json.dumps(asdict(status)) + "\n", encoding="utf-8")
            fresh.replace(self._path)
            self._shown = status

    def remove(self) -> None:
        """Remove the file: the daemon has ended."""
        with suppress(OSError):
            self._path.unlink()


def read(state: Path) -> DaemonStatus | None:
    """Return what the daemon on ``state`` does; ``None`` if none runs there.

    A daemon that has not written its picture yet is reported as ``starting``.
    """
    holder = lock.holder(state)
    if holder is None:
        return None
    try:
        fields = json.loads((state / STATUS_NAME).read_text(encoding="utf-8"))
        processes = tuple(ProcessStatus(**each) for each in fields.pop("processes"))
        status = DaemonStatus(**fields, processes=processes)
    except (OSError, ValueError, TypeError, KeyError):
        status = None
    if status is None or status.pid != holder:
        return DaemonStatus(pid=holder, state="starting", since="")
    return status
