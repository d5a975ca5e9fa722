"""The answers of ``otrsd pipe``: exit codes of sysexits.h, and one line."""

from __future__ import annotations

import os

EX_OK = 0
EX_DATAERR = 65
EX_NOUSER = 67
EX_UNAVAILABLE = 69
EX_TEMPFAIL = 75

#: What the daemon may answer at its socket; anything else is 75.
ANSWERS = frozenset({EX_OK, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL})


class Refusal(Exception):  # noqa: N818 - it is an answer, not always an error
    """The answer: exit code and one line beginning with the enhanced code."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code
        self.line = line


def say(line: str) -> None:
    """Print the one line, for an MTA to read; its loss costs nothing."""
    text = "".join(c if c.isprintable() else "?" for c in line)
    try:
        os.write(1, text.encode("utf-8", "replace") + b"\n")
    except OSError:
        # The exit code says it too.
        return
