"""The ordered stop: who is asked when, and when patience ends.

Ways in first, then the postmasters, then the rest; each rank must be gone before the
next is asked, but none may use up more than its share of the time. A second SIGTERM
asks everybody at once and leaves a few seconds, a third kills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otrsd.daemon.children import Child

#: design.md §3 gives 30 s in all; two of them are for killing and reaping.
STOP_SECONDS = 28.0
_HURRIED_SECONDS = 3.0
_HURRY_AT = 2
_KILL_AT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What to do now."""

    ask: tuple[Child, ...] = ()
    kill: tuple[Child, ...] = ()


class Halt:
    """One stop from the first signal on."""

    def __init__(self, began: float, ranks: Sequence[int], seconds: float) -> None:
        self._began = began
        self._ranks = sorted(set(ranks))
        self._deadline = began + seconds
        self._share = seconds / max(1, len(self._ranks))
        self._signals = 1

    def hear(self, signals: int, now: float) -> None:
        """Take in how many stop signals have come so far."""
        if signals >= _HURRY_AT and self._signals < _HURRY_AT:
            self._deadline = min(self._deadline, now + _HURRIED_SECONDS)
        if signals >= _KILL_AT:
            self._deadline = min(self._deadline, now)
        self._signals = max(self._signals, signals)

    def orders(self, living: Sequence[Child], now: float) -> Orders:
        """Return whom to ask and whom to kill."""
        if not living:
            return Orders()
        if now >= self._deadline:
            kill = tuple(child for child in living if not child.killed_for)
            return Orders(kill=kill)
        highest = self._highest(min(child.line.stop for child in living), now)
        return Orders(
            ask=tuple(
                child
                for child in living
                if not child.asked and child.line.stop <= highest
            )
        )

    def beyond_hope(self, now: float) -> bool:
        """Tell whether even killing has not helped."""
        return now >= self._deadline + 1.0

    def _highest(self, lowest_living: int, now: float) -> int:
        if self._signals >= _HURRY_AT:
            return self._ranks[-1]
        used_up = min(int((now - self._began) / self._share), len(self._ranks) - 1)
        return max(lowest_living, self._ranks[used_up])
