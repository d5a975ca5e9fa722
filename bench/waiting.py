"""Waiting for something to come about, and the one clock of all measurements.

Fails with :class:`NotInTimeError`, whose text says what did not come about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from otrsd.clock import SystemClock

T = TypeVar("T")

CLOCK = SystemClock()


class NotInTimeError(Exception):
    """Something did not come about; the text says what."""


def pause(seconds: float) -> None:
    """Do nothing for a while."""
    threading.Event().wait(seconds)


def until(
    what: str, question: Callable[[], T], *, seconds: float = 30.0, every: float = 0.05
) -> T:
    """Ask again and again until there is an answer that counts; return it."""
    deadline = CLOCK.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if CLOCK.monotonic() > deadline:
            raise NotInTimeError(f"not within {seconds:.0f} s: {what}")
        pause(every)
