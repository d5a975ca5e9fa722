"""The only reader of time.

Everything else takes a :class:`Clock`. Wall time is UTC and aware; durations are
measured with the monotonic clock, so that a jump of the wall clock harms nothing.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where wall time and elapsed time come from."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start; the same for all processes."""
        return time.monotonic()


class FakeClock:
    """A clock for tests: stands still until it is told to move."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the time that was set."""
        return self._now

    def monotonic(self) -> float:
        """Return the elapsed seconds that were set."""
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        """Let ``by`` pass on both clocks."""
        self._now += by
        self._monotonic += by.total_seconds()
