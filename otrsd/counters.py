"""Counters that many processes write and one reads: what ``/metrics`` adds up.

Each process has a file of its own, ``<role>.<n>``, and writes each sum through to it:
no lock, two microseconds. (Mapped, it would kill the process on a full disk.) A process
that is killed leaves its file as it is; the next one of that role goes on with it, so a
sum never falls. A file that another process still holds (a reload has both for a while)
is left to it, and the next ``n`` taken.

Labels are names that the site's own files bound: queues, rules, plugins, channels.
Never an address, never a word of a mail.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric: its name in Prometheus, without ``_total``, and its labels."""

    name: str
    text: str
    labels: tuple[str, ...]
    #: Counts of seconds by size, not one sum.
    is_histogram: bool = False


MAIL_RECEIVED = Family(
    name="otrsd_mail_received",
    text="Mails that were offered, by how they came and what was answered.",
    labels=("source", "result"),
)
MAIL_SECONDS = Family(
    name="otrsd_mail_processing_seconds",
    text="Time that a mail took: in screen, in desk, from its arrival to its end.",
    labels=("stage",),
    is_histogram=True,
)
TICKETS_CREATED = Family(
    name="otrsd_tickets_created",
    text="Tickets that mails have made.",
    labels=("queue", "channel"),
)
RULE_MATCHES = Family(
    name="otrsd_rule_matches", text="Mails that a rule was for.", labels=("rule",)
)
RULE_SECONDS = Family(
    name="otrsd_rule_seconds",
    text="Time in the conditions of a rule.",
    labels=("rule",),
)
PLUGIN_SECONDS = Family(
    name="otrsd_plugin_seconds",
    text="Time in a plugin's hook.",
    labels=("plugin", "hook"),
)
PLUGIN_ERRORS = Family(
    name="otrsd_plugin_errors",
    text="Calls of a plugin's hook that failed.",
    labels=("plugin", "hook"),
)
FAMILIES = (
    *(MAIL_RECEIVED, MAIL_SECONDS, TICKETS_CREATED),
    *(RULE_MATCHES, RULE_SECONDS, PLUGIN_SECONDS, PLUGIN_ERRORS),
)
#: In the state folder: one file for each process.
FOLDER = "metrics"
#: Upper ends of a histogram's classes, in seconds.
CLASSES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300)
#: The class above the last, and the label that holds the sum.
ABOVE, SUM = "+Inf", "sum"
CLASS_NAMES = (*(str(float(each)) for each in CLASSES), ABOVE)

#: Octets of a place: a double, and the name and labels that it counts.
_PLACE, _NAME = 256, 248
#: Places of a file; what finds none is counted in the head and shown nowhere.
_MOST = 2048
#: The head: what the file is, and how many places are taken, the head among them.
_MAGIC = b"otrsd-1\0"
_HEAD, _DOUBLE = struct.Struct("=8sQ"), struct.Struct("=d")
_BETWEEN = "\x1f"
#: Processes of one role at a time: two generations, and one that hangs.
_TWINS = 8


class Counters:
    """The counters of one process; by itself it counts for nobody to see."""

    def __init__(self, file: int | None = None) -> None:
        self._file = file
        octets = b"" if file is None else os.pread(file, _PLACE * _MOST, 0)
        if octets[: len(_MAGIC)] != _MAGIC:
            octets = b""
        self._door = threading.Lock()
        self._places: dict[tuple[str, ...], int] = {}
        self._known = {name: n for n, name in enumerate(_names(octets), start=1)}
        #: Number of a place → its sum; that of the head takes what finds none.
        self._sums = {n: _sum(octets, n) for n in self._known.values()} | {0: 0.0}
        if not octets:
            self._write(0, _HEAD.pack(_MAGIC, 1).ljust(_PLACE, b"\0"))

    @classmethod
    def open(cls, folder: Path, name: str) -> Counters:
        """Return the counters in a file of ``folder`` that nobody else writes to.

        Where there can be none (a full disk), they count for nobody to see: a mail
        is worth more than its figures.
        """
        with suppress(OSError, ValueError):
            folder.mkdir(mode=0o700, exist_ok=True)
            for number in range(_TWINS):
                file = _locked(folder / f"{name}.{number}")
                if file is not None:
                    return cls(file)
        return cls()

    def count(self, family: Family, *labels: str, by: float = 1.0) -> None:
        """Add to one counter."""
        key = (family.name, *labels)
        place = self._places.get(key)
        if place is None:
            place = self._find(key)
        value = self._sums[place] = self._sums[place] + by
        if place:
            self._write(place * _PLACE, _DOUBLE.pack(value))

    def observe(self, family: Family, *labels: str, seconds: float) -> None:
        """Add one time to a histogram."""
        size = CLASS_NAMES[bisect_left(CLASSES, seconds)]
        self.count(family, *labels, size)
        self.count(family, *labels, SUM, by=seconds)

    def _find(self, key: tuple[str, ...]) -> int:
        """Return the number of the place of ``key``; take one for a new one."""
        name = _BETWEEN.join(key).encode("utf-8", "replace")[:_NAME]
        with self._door:
            number = self._known.get(name, 0) or self._take(name)
        self._places[key] = number
        return number

    def _take(self, name: bytes) -> int:
        number = len(self._known) + 1
        if number >= _MOST:
            return 0
        self._write(number * _PLACE, _DOUBLE.pack(0.0) + name.ljust(_NAME, b"\0"))
        # Last: a process that dies before has taken nothing.
        self._write(0, _HEAD.pack(_MAGIC, number + 1))
        self._known[name], self._sums[number] = number, 0.0
        return number

    def _write(self, at: int, octets: bytes) -> None:
        """Write through; what finds no room on the disk is not shown."""
        if self._file is not None:
            with suppress(OSError):
                os.pwrite(self._file, octets, at)


def read_all(folder: Path) -> Mapping[tuple[str, ...], float]:
    """Return the sum of each counter over all files: (name, labels …) → value."""
    sums: dict[tuple[str, ...], float] = {}
    for path in sorted(folder.glob("*.*")):
        octets = path.read_bytes()
        if octets[: len(_MAGIC)] != _MAGIC:
            continue
        for number, name in enumerate(_names(octets), start=1):
            key = tuple(name.decode("utf-8", "ignore").split(_BETWEEN))
            sums[key] = sums.get(key, 0.0) + _sum(octets, number)
    return sums


def _sum(octets: bytes, number: int) -> float:
    return float(_DOUBLE.unpack_from(octets, number * _PLACE)[0])


def _names(octets: bytes) -> list[bytes]:
    """Return the name of each place that is taken, in order."""
    if not octets:
        return []
    _, taken = _HEAD.unpack_from(octets)
    return [
        bytes(octets[n * _PLACE + 8 : (n + 1) * _PLACE]).rstrip(b"\0")
        for n in range(1, min(taken, _MOST, len(octets) // _PLACE))
    ]


def _locked(path: Path) -> int | None:
    """Open a file for this process alone; ``None`` where another one has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    # The lock lives as long as this descriptor: until the process ends.
    return file
