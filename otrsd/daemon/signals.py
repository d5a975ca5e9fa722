"""The supervisor's ears: signals, and the pipe that wakes it.

A signal only counts; the supervisor's loop looks at the counts when the pipe has
woken it. Children write to the same pipe when they are ready.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Signals:
    """How often which signal has come; wakes whoever waits on :meth:`fileno`."""

    def __init__(self) -> None:
        self._heard, self.wake = os.pipe()
        for end in (self._heard, self.wake):
            os.set_blocking(end, False)
        #: SIGTERM and SIGINT so far.
        self.stops = 0
        #: SIGHUP since it was last set to 0.
        self.hangups = 0

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._heard

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the signals inside; put the handlers back and close afterwards."""
        wanted = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._hangup,
            signal.SIGCHLD: lambda *_: None,
        }
        before = {number: signal.signal(number, do) for number, do in wanted.items()}
        previous = signal.set_wakeup_fd(self.wake, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous)
            for number, was in before.items():
                signal.signal(number, was)
            os.close(self._heard)
            os.close(self.wake)

    def drain(self) -> None:
        """Empty the pipe, so that the next signal wakes again."""
        with suppress(BlockingIOError):
            os.read(self._heard, 4096)

    def _stop(self, *_: object) -> None:
        self.stops += 1

    def _hangup(self, *_: object) -> None:
        self.hangups += 1
