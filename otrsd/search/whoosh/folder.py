"""The index's folder: which build is live, who may write, what is damaged.

::

    var/index/            0700: a table of contents is a pickle, and that is code
        CURRENT           name of the live build
        lock              flock: one writer of the live build at a time
        rebuild.lock      flock: one rebuild at a time
        progress          "done total" while a rebuild runs
        damaged           why a reader found the live build unusable
        build-0123abcd/   Whoosh's files, and otrsd.json: what they were made by

A lock dies with its process; nothing here needs cleaning up by hand.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import select
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_CURRENT = "CURRENT"
_DAMAGED = "damaged"
_PROGRESS = "progress"
_MANIFEST = "otrsd.json"
_BUILD = "build-"
_TRIES = 20
_PAUSE = 0.01


class Folder:
    """See the module; no file is touched before the first use."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder; nobody else may look into it or write to it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def live(self) -> Path | None:
        """Return the live build; ``None`` where there is none."""
        try:
            name = (self.path / _CURRENT).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        build = self.path / name
        return build if name.startswith(_BUILD) and build.is_dir() else None

    def new_build(self, manifest: Mapping[str, Any]) -> Path:
        """Make an empty folder for a build."""
        self.prepare()
        build = self.path / f"{_BUILD}{secrets.token_hex(8)}"
        build.mkdir(mode=0o700)
        (build / _MANIFEST).write_text(json.dumps(manifest, sort_keys=True), "utf-8")
        return build

    def manifest(self, build: Path) -> Mapping[str, Any]:
        """Return what a build was made by; empty where that can't be read."""
        try:
            found = json.loads((build / _MANIFEST).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def adopt(self, build: Path) -> None:
        """Make ``build`` the live one."""
        new = self.path / f"{_CURRENT}.new"
        with new.open("w", encoding="ascii") as file:
            file.write(build.name)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.path / _CURRENT)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Wait until nobody else writes to the live build."""
        with self._lock("lock", tries=0):
            yield

    @contextmanager
    def rebuilding(self) -> Iterator[bool]:
        """Give whether this is the only rebuild; it is then, until the end."""
        with self._lock("rebuild.lock", tries=_TRIES) as taken:
            yield taken
            if taken:
                (self.path / _PROGRESS).unlink(missing_ok=True)

    def is_rebuilding(self) -> bool:
        """Tell whether somebody is rebuilding right now."""
        if not (self.path / "rebuild.lock").exists():
            return False
        with self._lock("rebuild.lock", how=fcntl.LOCK_SH, tries=1) as free:
            return not free

    def note_progress(self, done: int, total: int) -> None:
        """Say how far the rebuild is."""
        (self.path / _PROGRESS).write_text(f"{done} {total}", "ascii")

    def progress(self) -> tuple[int, int]:
        """Return how far the rebuild is: articles done, articles in all."""
        try:
            done, total = (self.path / _PROGRESS).read_text("ascii").split()
            return int(done), int(total)
        except (OSError, ValueError):
            return 0, 0

    def note_damage(self, build: Path, reason: str) -> None:
        """Tell the index lane that ``build`` is to be replaced."""
        with suppress(OSError):
            (self.path / _DAMAGED).write_text(f"{build.name} {reason}", "utf-8")

    def damage(self) -> str:
        """Return why the live build is damaged; empty where nobody said so."""
        live = self.live()
        try:
            text = (self.path / _DAMAGED).read_text("utf-8", "replace")
        except OSError:
            return ""
        name, _, reason = text.partition(" ")
        return (reason or "damaged") if live and live.name == name else ""

    def sweep(self) -> None:
        """Remove what a killed process left behind, except under a rebuild."""
        with self.rebuilding() as alone, self.writing():
            live = self.live()
            for path in self.path.glob(f"{_BUILD}*") if alone else ():
                if path != live:
                    shutil.rmtree(path, ignore_errors=True)
            if live is not None:
                for path in (*live.glob("*.tmp"), *live.glob("*.new")):
                    _remove(path)

    @contextmanager
    def _lock(
        self, name: str, *, how: int = fcntl.LOCK_EX, tries: int
    ) -> Iterator[bool]:
        """Give whether the lock could be had; 0 tries: wait for it."""
        self.prepare()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path / name, flags, 0o600)
        try:
            yield _taken(descriptor, how, tries)
        finally:
            os.close(descriptor)


def _taken(descriptor: int, how: int, tries: int) -> bool:
    if not tries:
        fcntl.flock(descriptor, how)
        return True
    for _ in range(tries):
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            # Somebody who only asks holds it for microseconds.
            select.select((), (), (), _PAUSE)
        else:
            return True
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
