"""Shared slots: what each child has in hand, readable after it was killed.

One anonymous shared mapping is made before the fork; every child owns one slot of
it. The child writes its :class:`~otrsd.control.Work` there without a system call;
the supervisor reads it while the child runs and after it died.

Each slot holds two bodies and a counter whose low bit names the valid one. A write
fills the other body and then moves the counter, so a child that is killed in the
middle of a write leaves the Work before it whole. A reader that finds the counter
moved while it copied has a torn copy and reads again. Texts longer than their room
are cut. The counter is stored by one machine instruction; that it becomes visible
after the body is given on x86-64 and not promised by every other processor: there
a reader may, very rarely, see the fields of two neighbouring steps mixed. Where
threads stand for children, the mapping is a file: it tells the next process what this
one had in hand.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from otrsd.control import Work

#: since, limit, alone, stage, spool id, plugin.
_BODY = struct.Struct("=dd?24s32s120s")
_ROOM = 200
_SLOT = 512
_BODIES = 24
#: Where a slot of a file has its owner's name.
_NAME = slice(_BODIES + 2 * _ROOM, _SLOT)
#: Words before the bodies.
_COUNTER, _READY, _ASKED = 0, 1, 2
_TRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class InHand:
    """What a child has in hand, and since when."""

    work: Work
    #: Monotonic seconds at which the child wrote it down.
    since: float

    def overran(self, now: float) -> bool:
        """Tell whether this step has taken longer than it may."""
        return self.work.limit > 0 and now - self.since > self.work.limit


class Slot:
    """One child's place in the shared mapping."""

    def __init__(self, mapping: mmap.mmap, index: int) -> None:
        self._view = memoryview(mapping)[index * _SLOT : (index + 1) * _SLOT]
        # Native eight-byte stores: struct would write the counter byte by byte.
        self._words = self._view[:_BODIES].cast("Q")

    def clear(self) -> None:
        """Forget everything: a new child moves in."""
        self._words[_READY] = 0
        self._words[_ASKED] = 0
        self.note(Work(), 0.0)

    def mark_ready(self) -> None:
        """Say that the child does its work now."""
        self._words[_READY] = 1

    @property
    def owner(self) -> str:
        """Return whose slot it is, where that has been said."""
        return _text(bytes(self._view[_NAME]))

    @owner.setter
    def owner(self, name: str) -> None:
        room = _NAME.stop - _NAME.start
        self._view[_NAME] = name.encode()[:room].ljust(room, b"\0")

    @property
    def ready(self) -> bool:
        """Tell whether the child has said that it does its work."""
        return bool(self._words[_READY])

    def mark_asked(self) -> None:
        """Say that SIGTERM has asked the child to stop."""
        self._words[_ASKED] = 1

    @property
    def asked(self) -> bool:
        """Tell whether SIGTERM has asked the child to stop."""
        return bool(self._words[_ASKED])

    def note(self, work: Work, since: float) -> None:
        """Write ``work`` down as in hand since the monotonic time ``since``."""
        counter = self._words[_COUNTER] + 1
        _BODY.pack_into(
            self._view,
            _BODIES + (counter & 1) * _ROOM,
            since,
            work.limit,
            work.alone,
            work.stage.encode("utf-8", "replace"),
            work.spool_id.encode("utf-8", "replace"),
            work.plugin.encode("utf-8", "replace"),
        )
        self._words[_COUNTER] = counter

    def read(self) -> InHand | None:
        """Return what is in hand; ``None`` if nothing is, or it changes too fast."""
        for _ in range(_TRIES):
            counter = self._words[_COUNTER]
            copy = bytes(self._view[_BODIES + (counter & 1) * _ROOM :][: _BODY.size])
            if self._words[_COUNTER] == counter:
                return _in_hand(copy)
        return None

    def release(self) -> None:
        """Let go of the mapping, so that it can be closed."""
        self._words.release()
        self._view.release()


class Slots:
    """The mapping with room for ``count`` children; ``path``: in a new file."""

    def __init__(self, count: int, path: Path | None = None) -> None:
        self._path = path
        self._mapping = _mapping(count * _SLOT, path)
        self._slots = tuple(Slot(self._mapping, index) for index in range(count))

    def __getitem__(self, index: int) -> Slot:
        return self._slots[index]

    def __len__(self) -> int:
        return len(self._slots)

    def close(self) -> None:
        """Give the memory back; no slot may be used afterwards."""
        for slot in self._slots:
            slot.release()
        self._mapping.close()
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()


def left_in_hand(path: Path) -> dict[str, Work]:
    """Return by name what the roles of a dead process had in hand, if it is there."""
    try:
        octets = path.read_bytes()
    except OSError:
        return {}
    starts = range(0, len(octets) - _SLOT + 1, _SLOT)
    slots = (octets[at : at + _SLOT] for at in starts)
    return dict(filter(None, map(_left, slots)))


def _left(slot: bytes) -> tuple[str, Work] | None:
    (counter,) = struct.unpack_from("=Q", slot)
    body = slot[_BODIES + (counter & 1) * _ROOM :][: _BODY.size]
    held = _in_hand(body)
    return (_text(slot[_NAME]), held.work) if held else None


def _mapping(size: int, path: Path | None) -> mmap.mmap:
    if path is None:
        return mmap.mmap(-1, size)
    descriptor = os.open(
        path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
    )
    try:
        # Written, not cut to size: on a full disk the first write to a hole of a
        # mapped file would kill the process.
        os.write(descriptor, bytes(size))
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def _in_hand(body: bytes) -> InHand | None:
    since, limit, alone, stage, spool_id, plugin = _BODY.unpack(body)
    if not stage.rstrip(b"\0"):
        return None
    work = Work(
        stage=_text(stage),
        spool_id=_text(spool_id),
        alone=alone,
        plugin=_text(plugin),
        limit=limit,
    )
    return InHand(work=work, since=since)


def _text(field: bytes) -> str:
    # A text that was cut in the middle of a character loses that character.
    return field.rstrip(b"\0").decode("utf-8", "ignore")
