"""Spool ids: 128 bits, sortable by the millisecond they were made in (ULID).

26 characters of Crockford's base 32: 48 bits of Unix milliseconds, 80 random
bits. Never a row number: a restored spool or a second node would repeat those,
and a repeated id makes a new mail a silent no-op.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SHAPE = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
#: How many octets of randomness an id takes.
RANDOM_OCTETS = 10


def new_id(now: datetime, random: bytes) -> str:
    """Return a spool id for ``now`` from ``RANDOM_OCTETS`` random octets."""
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    return _written(milliseconds << 80 | int.from_bytes(random[:RANDOM_OCTETS], "big"))


def id_of(what: bytes) -> str:
    """Return the id of something that may come again; it sorts anywhere."""
    return _written(int.from_bytes(hashlib.sha256(what).digest()[:16], "big"))


def _written(value: int) -> str:
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def is_id(text: str) -> bool:
    """Tell whether ``text`` has the form of a spool id."""
    return _SHAPE.fullmatch(text) is not None
