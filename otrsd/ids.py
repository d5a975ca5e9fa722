"""Spool ids: 128 bits, sortable by the millisecond they were made in (ULID).

26 characters of Crockford's base 32: 48 bits of Unix milliseconds, 80 random
bits. Never a row number: a restored spool or a second node would repeat those,
and a repeated id makes a new mail a silent no-op.
"""

from __future__ import annotations

import re
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHAPE = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
#: How many octets of randomness an id takes.
RANDOM_OCTETS = 10


def new_id(now: datetime, random: bytes) -> str:
    """Return a spool id for ``now`` from ``RANDOM_OCTETS`` random octets."""
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    value = milliseconds << 80 | int.from_bytes(random[:RANDOM_OCTETS], "big")
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def is_id(text: str) -> bool:
    """Tell whether ``text`` has the form of a spool id."""
    return _SHAPE.fullmatch(text) is not None
