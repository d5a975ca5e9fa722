"""What a daemon's processes use: CPU by station, and memory as PSS.

Both are read from ``/proc`` of all processes below one (Linux). CPU includes the
children that were reaped meanwhile: they stand in their parent's account.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from bench.waiting import CLOCK

_TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
#: Role → station; everything else is "rest".
_STATIONS = {"receiver": "receiver", "index": "index", "postmaster": "postmaster"}


def below(top: int) -> set[int]:
    """Return ``top`` and every process below it."""
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(
                    int(entry.name)
                )
    found: set[int] = set()
    waiting = [top]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += parents.get(pid, [])
    return found


def cpu_by_station(top: int, roles: Mapping[str, int]) -> dict[str, float]:
    """Return station → seconds of CPU used so far."""
    names = {pid: name for name, pid in roles.items()}
    used = dict.fromkeys([*_STATIONS.values(), "rest"], 0.0)
    for pid in below(top):
        with suppress(OSError):
            ticks = sum(map(int, _stat(pid)[11:15]))
            role = names.get(pid, "").partition("-")[0]
            used[_STATIONS.get(role, "rest")] += ticks / _TICKS
    return used


def pss(pids: set[int]) -> int:
    """Return the sum of the processes' PSS in octets."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) * 1024
                    break
    return total


class Peak:
    """Watches the sum of PSS every 20 ms, in a thread."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._stop = threading.Event()
        self.highest = 0
        self.last = 0
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        pids = below(self._top)
        looked = CLOCK.monotonic()
        while not self._stop.wait(0.02):
            if CLOCK.monotonic() - looked > 0.5:
                pids, looked = below(self._top), CLOCK.monotonic()
            self.last = pss(pids)
            self.highest = max(self.highest, self.last)


def _stat(pid: int) -> list[str]:
    """Return the fields behind the name: state, parent and so on."""
    text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    return text.rpartition(") ")[2].split()
