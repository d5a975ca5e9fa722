"""What is wrong with a file, where, and what to write instead.

A :class:`Problem` is text for a person: ``render`` gives at most three lines, the
message with ``file:line:column``, the line itself and a caret. Text of the file is
printed with control and bidi characters made visible.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from otrsd.errors import ConfigError

#: Longest piece of a source line that is shown.
_SHOWN = 100
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Severity(StrEnum):
    """An error keeps the configuration from being used, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file that was read: its name for people, and its text."""

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """Return the lines without their ends."""
        return self.text.split("\n")

    def line(self, number: int) -> str:
        """Return line ``number``, counted from 1; empty beyond the end."""
        if 1 <= number <= len(self.lines):
            return self.lines[number - 1].rstrip("\r")
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding, with the place to look at."""

    severity: Severity = Severity.ERROR
    file: str
    #: Counted from 1; 0 where the whole file is meant.
    line: int = 0
    column: int = 0
    text: str
    #: What to write instead, as a phrase: ``did you mean 'when'?``.
    suggestion: str = ""
    #: The source line and the caret under it; empty where there is none.
    excerpt: str = ""

    @property
    def is_error(self) -> bool:
        """Tell whether it keeps the configuration from being used."""
        return self.severity is Severity.ERROR

    @property
    def place(self) -> str:
        """Return ``file:line:column``, as far as it is known."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def render(self) -> str:
        """Return the finding as one to three lines."""
        hint = f" - {self.suggestion}" if self.suggestion else ""
        message = visible(f"{self.place}: {self.severity}: {self.text}{hint}")
        return f"{message}\n{self.excerpt}" if self.excerpt else message


#: What is shown in the place of a secret.
HIDDEN = "***"
#: Keys whose values nobody is shown.
_HIDDEN_KEYS = (
    r"[\w-]*(?:passw|secret|token|credential|private)[\w-]*"
    r"|(?:[\w-]*[_-])?(?:pass|pwd|key|pin)"
)
_IS_SECRET = re.compile(_HIDDEN_KEYS, re.IGNORECASE)
#: In a line of a file: a key, and its value; ``$credential`` names, and hides none.
_SECRET = re.compile(
    rf"((?<![\w$-])(?:{_HIDDEN_KEYS})[\"']?\s*:\s*)"
    r"(\"[^\"]*\"?|'[^']*'?|[^\s,{}][^,{}]*)",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*:)([^\s]*)(?=@)")
#: The same as an argument of the URL: ``postgresql://host/desk?password=…``.
_URL_ARGUMENT = re.compile(
    rf"((?<=[?&])(?:{_HIDDEN_KEYS})=)([^&#\s\"']*)", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Tell whether a key's value must not be shown: ``send.password``."""
    return _IS_SECRET.fullmatch(name.rpartition(".")[2]) is not None


def without_passwords(text: str) -> str:
    """Return ``text`` with the password of each URL in it hidden."""
    text = _URL_ARGUMENT.sub(rf"\1{HIDDEN}", text)
    return _URL_PASSWORD.sub(rf"\1{HIDDEN}", text)


def has_password(redacted: str) -> bool:
    """Tell whether a password stands in a file whose text was made fit to be stored."""
    return any(found[2] == f'"{HIDDEN}"' for found in _SECRET.finditer(redacted))


class LocatedError(ConfigError):
    """A configuration that can't be used, with each problem as a value."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in problems))


def problem_at(  # noqa: PLR0913 - a place has four parts
    source: Source,
    line: int,
    column: int,
    text: str,
    *,
    suggestion: str = "",
    width: int = 1,
    severity: Severity = Severity.ERROR,
) -> Problem:
    """Make a problem at a place of ``source``, with its excerpt."""
    return Problem(
        severity=severity,
        file=source.name,
        line=line,
        column=column,
        text=text,
        suggestion=suggestion,
        excerpt=_excerpt(source.line(line), line, column, width),
    )


def _excerpt(text: str, line: int, column: int, width: int) -> str:
    if not text.strip():
        return ""
    # As long as it was, so that the caret stays under its place.
    for pattern in (_SECRET, _URL_PASSWORD, _URL_ARGUMENT):
        text = pattern.sub(lambda found: found[1] + "*" * len(found[2]), text)
    # A long line is cut so that the place itself is seen.
    start = max(0, column - 1 - _SHOWN // 2) if len(text) > _SHOWN else 0
    shown = visible(text[start : start + _SHOWN])
    offset = column - 1 - start
    carets = "^" * max(1, min(width, len(shown) - offset))
    return f"{line:>7} | {shown}\n{' ' * (10 + offset)}{carets}"


def visible(text: str) -> str:
    """Return ``text`` with each character that could trick a terminal replaced."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _HIDDEN else c
        for c in text.replace("\t", "→")
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the nearest known word, or nothing."""
    near = nearest(word, known)
    return f"did you mean '{near}'?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that looks most like ``word``, or nothing."""
    by_folded = {name.casefold(): name for name in known}
    folded = word.casefold()
    if folded in by_folded:
        return by_folded[folded]
    close = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    if close:
        return by_folded[close[0]]
    # "successful" for "closed successful": a word of its own is near enough.
    parts = [name for name in by_folded if len(folded) > 2 and folded in name.split()]  # noqa: PLR2004 - shorter words say nothing
    return by_folded[parts[0]] if parts else ""
