"""``otrsd run --dev``: lines for the eye, and a reload when a file was saved.

The files looked at are otrsd.yaml and what lies in config/ and plugins/ beside it, by
the second; a reload comes when they have changed and lie still.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from otrsd.clock import Clock
from otrsd.daemon.lines import Dress, Lines

#: Seconds between two looks.
_EVERY = 0.5
_FOLDERS = ("config", "plugins")
_BOLD, _DIM, _END = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_COLOURS: Mapping[str, str] = {
    "debug": _DIM,
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}

_Stamp = Mapping[Path, tuple[int, int, int]]


def dressed(*, coloured: bool) -> Dress:
    """Return how a line is written for the eye: the time of day here, the event."""

    def dress(at: datetime, level: str, event: str, said: Sequence[str]) -> str:
        time, name = f"{at.astimezone():%H:%M:%S}", f"{level:<8}"
        event = f"{event:<20}"
        if coloured:
            time, name = f"{_DIM}{time}{_END}", f"{_COLOURS[level]}{name}{_END}"
            event = f"{_BOLD}{event}{_END}"
        return " ".join([time, name, event, *said]).rstrip()

    return dress


class Watch:
    """Tells, once a change, that a file of a site has been saved."""

    def __init__(self, root: Path, clock: Clock, log: Lines) -> None:
        self._root = root
        self._monotonic = clock.monotonic
        self._log = log
        self._known = self._seen = _stamp(root)
        self._next = 0.0

    def __call__(self) -> bool:
        """Tell whether files have changed and lie still now; looks twice a second."""
        now = self._monotonic()
        if now < self._next:
            return False
        self._next = now + _EVERY
        before, self._seen = self._seen, _stamp(self._root)
        if self._seen == self._known or self._seen != before:
            return False
        changed = {path for path, _ in self._seen.items() ^ self._known.items()}
        names = sorted(str(path.relative_to(self._root)) for path in changed)
        self._log.info("config.changed", files=" ".join(names))
        self._known = self._seen
        return True


def _stamp(root: Path) -> _Stamp:
    found = {}
    for path in _files(root):
        try:
            stat = path.stat()
        except OSError:
            continue
        found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def _files(root: Path) -> Iterator[Path]:
    """Yield the files that count; an editor's copies and Python's caches don't."""
    yield root / "otrsd.yaml"
    for name in _FOLDERS:
        for folder, folders, files in os.walk(root / name):
            folders[:] = [each for each in folders if each[0] not in "._"]
            kept = (each for each in files if each[0] != "." and each[-1] != "~")
            yield from (Path(folder, each) for each in kept)
