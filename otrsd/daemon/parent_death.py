"""Have the kernel end this process when its parent dies (Linux: prctl).

Only an extra: every process also sees the end of its stream to the parent. But a
child that hangs in a plugin looks at no stream.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def die_with_parent(parent: int) -> bool:
    """Ask for SIGKILL when ``parent`` dies; tell whether ``parent`` still lives."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def outlive_parent() -> None:
    """Take the wish back: this process ends in order, by its stream."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def show_name(name: str) -> None:
    """Show ``name`` in ``top`` and ``ps -o comm`` (the kernel keeps 15 octets)."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def _prctl(option: int, value: int | bytes) -> None:
    if not sys.platform.startswith("linux"):
        return
    # The supervisor has no use for ctypes; only forked processes pay for it.
    import ctypes  # noqa: PLC0415

    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        return
