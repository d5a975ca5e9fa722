"""Make text fit to be stored: every database refuses something that Python allows.

PostgreSQL knows no NUL in a text, no driver takes a lone surrogate, and a column
that is indexed has a length. What a mail or a plugin gives is made to fit here: it
must never be the reason why a mail can't be delivered.
"""

from __future__ import annotations

import hashlib

#: Characters of the columns that are indexed, as in tables.py.
ADDRESS, NAME, TAG = 254, 190, 100
#: Hexadecimal digits of the hash that ends a name that was too long.
_HASH = 32


def storable(text: str, longest: int | None = None) -> str:
    """Return ``text`` without NUL and lone surrogates, cut at ``longest``."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text[:longest]


def unique(text: str, longest: int = NAME) -> str:
    """Return a name that stays different from others when it has to be cut."""
    fit = storable(text)
    if fit == text and len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{fit[: longest - _HASH - 1]}#{digest}"
