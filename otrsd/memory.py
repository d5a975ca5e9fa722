"""Give memory back to the system once a large mail is done with.

The C library keeps what Python frees, for the next time; after a mail of 25 MiB that
would be 50 MiB in each process that had it in hand. Does nothing where the library is
not glibc.
"""

from __future__ import annotations

import sys
from contextlib import suppress

#: Octets of a mail from which on it is worth the milliseconds.
LARGE = 1024 * 1024


def give_back() -> None:
    """Return freed pages to the system; some milliseconds after a large mail."""
    if not sys.platform.startswith("linux"):
        return
    # Only needed after a large mail; the interpreter keeps it loaded from then on.
    import ctypes  # noqa: PLC0415

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
