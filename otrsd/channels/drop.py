"""The drop folder: finished mails of ``otrsd pipe`` move into the spool.

In: files ``<folder>/<id>``, oldest first; out: the same mails under the same ids in
the spool, then the file is removed. A crash in between repeats a move, which is a
no-op by id. A file without END or with another sha256 is never delivered: it moves
to ``<folder>/damaged`` and is named in the log. Here also: ``pipe.json``, the only
thing that the pipe reads.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import structlog

from otrsd.channels.frame import END, MAX_HEADER, Header, read_header
from otrsd.channels.intake import Intake
from otrsd.clock import Clock
from otrsd.errors import InputError, TemporaryError
from otrsd.failpoint import failpoint
from otrsd.ids import is_id

TMP = "tmp"
DAMAGED = "damaged"
#: Seconds between two looks at the folder's time of change.
_LOOK_EVERY = 0.2
#: Seconds between two listings of the folder whatever its time says.
_LIST_EVERY = 30.0
#: Seconds until the next try after the spool has refused.
_REFUSED_WAIT = 5.0
#: An unfinished file of this age (seconds) has no writer any more.
_STALE = 86_400
_BATCH = 50
_BATCH_OCTETS = 32 * 1024 * 1024
_READ = 256 * 1024
#: What opening a link or a socket says; a device or a folder can be opened.
_NO_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENODEV})


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeSettings:
    """What ``otrsd pipe`` may know of the installation: ``<state>/pipe.json``."""

    #: The drop folder and the submit socket, absolute.
    drop: Path
    socket: Path
    #: Largest content in octets.
    max_size: int
    max_received: int = 50
    #: Share of the disk that must stay free, in percent.
    min_free: int = 10
    #: Every address of a queue, and postmaster@ our domains.
    accept: Sequence[str] = ()
    #: Whether a catch-all queue takes every other address.
    accept_any: bool = False


def write_pipe_json(path: Path, settings: PipeSettings) -> None:
    """Write ``settings`` to ``path``, whole or not at all; anybody may read it."""
    value = {
        "drop": str(settings.drop.absolute()),
        "socket": str(settings.socket.absolute()),
        "max_size": settings.max_size,
        "max_received": settings.max_received,
        "min_free": settings.min_free,
        "accept": sorted({address.lower() for address in settings.accept}),
        "accept_any": settings.accept_any,
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(unfinished, flags, 0o644)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        # Under /etc/aliases the MTA runs the pipe as nobody, whatever our umask.
        os.fchmod(descriptor, 0o644)
        json.dump(value, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    _sync(path.parent)


def make_drop_folder(folder: Path) -> None:
    """Make the folder and what it contains, for its owner alone."""
    for each in (folder, folder / TMP, folder / DAMAGED):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sync(folder)
    _sync(folder.parent)


async def move_drops(
    folder: Path, intake: Intake, clock: Clock, stop: asyncio.Event
) -> None:
    """Move finished drop files into the spool until ``stop`` is set."""
    mover = DropMover(folder, intake, clock)
    while not stop.is_set():
        try:
            wait = await mover.look()
        except OSError as error:
            structlog.get_logger().warning(
                "mail.rejected", channel="pipe", reason=str(error)
            )
            wait = _REFUSED_WAIT
        if wait <= _LOOK_EVERY:
            # Five times a second; wait_for would cost ten times as much.
            await asyncio.sleep(wait)
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """One whole drop file in memory."""

    path: Path
    header: Header
    chunks: Sequence[bytes]


class DropMover:
    """Knows what it has seen of the folder."""

    def __init__(self, folder: Path, intake: Intake, clock: Clock) -> None:
        self._folder = folder
        self._intake = intake
        self._clock = clock
        self._changed_ns = -1
        self._list_at = 0.0
        self._told: set[str] = set()

    async def look(self) -> float:
        """Move what is there; return the seconds to wait before the next look."""
        changed_ns = self._folder.stat().st_mtime_ns
        now = self._clock.monotonic()
        if changed_ns == self._changed_ns and now < self._list_at:
            return _LOOK_EVERY
        # Two changes within one tick of the kernel's clock have one time: after a
        # change the folder is listed once more at the next look.
        again = changed_ns != self._changed_ns
        self._changed_ns = changed_ns
        self._list_at = now if again else now + _LIST_EVERY
        names = self._list()
        if not again:
            self._name_stale()
        while names:
            moved = await self._move(names[:_BATCH])
            if moved < 0:
                self._list_at = now
                return _REFUSED_WAIT
            names = names[moved:]
        return _LOOK_EVERY

    def _list(self) -> list[str]:
        """Return the finished files by time of arrival, then by name."""
        found: list[tuple[int, str]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name in {TMP, DAMAGED}:
                    continue
                if not is_id(entry.name):
                    self._tell(entry.name, "its name is no spool id; it is left alone")
                    continue
                with suppress(FileNotFoundError):
                    found.append(
                        (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                    )
        return [name for _, name in sorted(found)]

    async def _move(self, names: Sequence[str]) -> int:
        """Move some of the first ``names``; return how many, -1 if refused."""
        looked, found = await asyncio.to_thread(self._read, names)
        answers = await asyncio.gather(
            *(
                self._intake.accept(
                    each.header.envelope, each.chunks, id=each.header.id
                )
                for each in found
            ),
            return_exceptions=True,
        )
        stored = [
            each
            for each, answer in zip(found, answers, strict=True)
            if not isinstance(answer, BaseException)
        ]
        if stored:
            failpoint("drop.after_spool")
            await asyncio.to_thread(self._remove, [each.path for each in stored])
        for each in stored:
            _log_stored(each)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(
                answer, TemporaryError
            ):
                raise answer
        return looked if len(stored) == len(found) else -1

    def _read(self, names: Sequence[str]) -> tuple[int, list[_Found]]:
        """Read files until a batch is full; damaged ones are put aside."""
        found: list[_Found] = []
        octets = looked = 0
        for name in names:
            looked += 1
            path = self._folder / name
            try:
                each = read_drop(path)
            except FileNotFoundError:
                continue
            except InputError as error:
                self._put_aside(path, str(error))
                continue
            except OSError as error:
                # Out of descriptors, rights, a bad sector: the file is not to blame.
                self._tell(name, f"it can't be read for now: {error}")
                continue
            found.append(each)
            octets += each.header.size
            if octets > _BATCH_OCTETS:
                break
        return looked, found

    def _put_aside(self, path: Path, reason: str) -> None:
        kept = self._folder / DAMAGED / path.name
        path.replace(kept)
        _sync(kept.parent)
        _sync(self._folder)
        structlog.get_logger().error(
            "mail.held",
            channel="pipe",
            mail_id=path.name,
            reason=reason,
            path=str(kept),
        )

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
        _sync(self._folder)

    def _name_stale(self) -> None:
        """Name unfinished files whose writer is dead: it never said yes."""
        oldest = self._clock.now().timestamp() - _STALE
        with os.scandir(self._folder / TMP) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        self._tell(
                            f"{TMP}/{entry.name}",
                            "its writer died before the end and did not say yes",
                        )

    def _tell(self, name: str, reason: str) -> None:
        if name not in self._told:
            self._told.add(name)
            structlog.get_logger().warning(
                "mail.rejected",
                channel="pipe",
                path=str(self._folder / name),
                reason=reason,
            )


def read_drop(path: Path) -> _Found:
    """Read one drop file; InputError if it is damaged, OSError if it can't be read."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise InputError(f"it is no regular file: {error}") from error
        raise
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("it is no regular file")
        header = read_header(file.readline(MAX_HEADER))
        if header.id != path.name:
            raise InputError(f"it says that its id is {header.id}")
        digest = sha256()
        chunks: list[bytes] = []
        left = header.size
        while left and (chunk := file.read(min(_READ, left))):
            digest.update(chunk)
            chunks.append(chunk)
            left -= len(chunk)
        if left or file.read(len(END) + 1) != END:
            raise InputError("it has no END, or not in its place: it was cut off")
    if digest.hexdigest() != header.sha256:
        raise InputError("its content does not have the sha256 of its header")
    # Nothing in the file decides who wrote it and whether it is trusted.
    envelope = replace(
        header.envelope, channel="pipe", peer=f"uid:{status.st_uid}", trusted=False
    )
    return _Found(path=path, header=replace(header, envelope=envelope), chunks=chunks)


def _log_stored(found: _Found) -> None:
    envelope = found.header.envelope
    structlog.get_logger().info(
        "mail.stored",
        mail_id=found.header.id,
        channel=envelope.channel,
        peer=envelope.peer,
        mail_from=envelope.mail_from,
        size=found.header.size,
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
