"""Whether something keeps this machine's clock right, as far as the kernel knows.

In: nothing but the kernel's own opinion (adjtimex(2), which anybody may ask). Out: a
yes or no, or ``None`` where there is nobody to ask: in a container the clock is the
host's, and where no systemd runs we don't know what else keeps the time. The rule is
that of systemd-timedated: an error of 16 s or more means that nobody does.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

#: struct timex up to maxerror: modes, offset, freq, maxerror.
_TIMEX = struct.Struct("@Illl")
#: Microseconds.
_LOST = 16_000_000
_ROOM = 512


def is_kept(
    root: Path = Path("/"), error: Callable[[], int | None] | None = None
) -> bool | None:
    """Tell whether the clock is kept; ``None`` where that can't be told."""
    if not (root / "run/systemd/system").is_dir():
        return None
    marks = ("run/systemd/container", ".dockerenv", "run/.containerenv")
    if any((root / mark).exists() for mark in marks):
        return None
    found = (error or kernel_error)()
    return None if found is None else found < _LOST


def kernel_error() -> int | None:
    """Return by how many microseconds the kernel thinks it may be wrong."""
    if not sys.platform.startswith("linux"):
        return None
    # Only whoever asks pays for it.
    import ctypes  # noqa: PLC0415

    answer = ctypes.create_string_buffer(_ROOM)
    try:
        # modes = 0: it only tells.
        if ctypes.CDLL(None).adjtimex(answer) < 0:
            return None
    except (OSError, AttributeError):
        return None
    error: int = _TIMEX.unpack_from(answer)[3]
    return error
