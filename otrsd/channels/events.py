"""Log events of the listeners: a name and fields, one line each.

In: anything a client sent; out: text in which no control character, no bidi
override and no surrogate is left raw, so that a log line can't be forged (CWE-117).
"""

from __future__ import annotations

import unicodedata
from typing import Protocol

#: So much of a client's text goes into a log line.
_LONGEST = 200


class Log(Protocol):
    """Where events go: a structlog logger, or a list in a test."""

    def info(self, event: str, **fields: object) -> object:
        """Record what happens every day."""
        ...

    def warning(self, event: str, **fields: object) -> object:
        """Record what an operator may want to act on."""
        ...

    def error(self, event: str, **fields: object) -> object:
        """Record what an operator has to act on."""
        ...


def visible(text: str) -> str:
    """Return ``text`` cut short and with everything unprintable as an escape."""
    if text.isascii() and text.isprintable() and len(text) <= _LONGEST:
        return text
    shown = "".join(map(_shown, text[:_LONGEST]))
    return shown + "…" if len(text) > _LONGEST else shown


def _shown(character: str) -> str:
    # Cc, Cf, Cs, Co, Cn and the line and paragraph separators.
    if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029":
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character
