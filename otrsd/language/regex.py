"""Regular expressions by RE2 alone: linear time, whatever the pattern.

In: ``/pattern/flags`` or a bare pattern. Out: :class:`Pattern`, or
:class:`PatternError` with the offset of what RE2 refuses. RE2 has no look-around
and no back-references (https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

import re2

#: RE2's own limit for the compiled form of one pattern.
_MAX_MEMORY = 8 * 1024 * 1024
_MAX_LENGTH = 10_000
_FLAGS = frozenset("ims")

#: RE2's words → ours.
_WORDS: Mapping[str, str] = {
    "missing )": "a '(' is not closed",
    "unexpected )": "a ')' closes nothing",
    "missing ]": "a '[' is not closed",
    "no argument for repetition operator": "nothing to repeat before",
    "bad repetition operator": "repeats a repetition",
    "invalid escape sequence": "RE2 does not know the escape",
    "invalid character class range": "RE2 does not know the class or range",
    "invalid repetition size": "repeats more than 1,000 times, or backwards",
    "invalid perl operator": "RE2 does not know the group",
    "trailing \\": "ends with a lone backslash",
    "invalid named capture group": "a named group is written (?P<name>…):",
    "duplicate capture group name": "two groups have the same name",
    "pattern too large": "the pattern is too large",
}
_LOOK_AROUND = re.compile(r"\(\?(?:=|!|<=|<!)")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")


class PatternError(ValueError):
    """A pattern RE2 refuses; ``offset`` points at the reason."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


class Pattern:
    """A compiled pattern; searches octets of UTF-8, so that nothing is copied."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_MEMORY
        if len(pattern) > _MAX_LENGTH:
            raise PatternError("the pattern is too long", 0)
        try:
            # UTF-8 is the options' default, for octets too.
            self._compiled = re2.compile(pattern.encode(), options=options)
        except re2.error as error:
            raise _explained(pattern, error) from None
        except UnicodeEncodeError:
            raise PatternError("the pattern is not Unicode text", 0) from None
        self._search = self._compiled.search

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Return the names of the named groups."""
        return tuple(name.decode() for name in self._compiled.groupindex)

    def search(self, octets: bytes) -> Mapping[str, str] | None:
        """Return the named groups that took part in the first match, if any."""
        found = self._search(octets)
        if found is None:
            return None
        if not self.groups:
            return {}
        return {
            name.decode(): value.decode(errors="replace")
            for name, value in found.groupdict().items()
            if value is not None
        }

    def __reduce__(self) -> tuple[type[Pattern], tuple[str]]:
        """Compile anew in another process."""
        return Pattern, (self.text,)


def split(text: str) -> tuple[str, str, int]:
    """Return pattern, flags and where the pattern starts in ``/pattern/flags``."""
    end = text.rfind("/")
    if not text.startswith("/") or end == 0:
        return text, "", 0
    flags = text[end + 1 :]
    unknown = sorted(set(flags) - _FLAGS)
    if unknown:
        offset = end + 1 + flags.index(unknown[0])
        raise PatternError(
            f"flag '{unknown[0]}' is none of i, m, s; or the last '/' is missing",
            offset,
        )
    return text[1:end], flags, 1


def prepare(text: str) -> str:
    """Check ``/pattern/flags`` and return it as one pattern with inline flags."""
    pattern, flags, start = split(text)
    if not pattern:
        raise PatternError("the pattern is empty", start)
    inline = f"(?{''.join(sorted(set(flags)))})" if flags else ""
    try:
        Pattern(pattern)
    except PatternError as error:
        raise PatternError(str(error), error.offset + start) from None
    return inline + pattern


def glob(text: str) -> str:
    """Return the pattern of a glob over the whole text."""
    table = {"*": ".*", "?": "."}
    return "(?s)^" + "".join(table.get(c) or re.escape(c) for c in text) + "$"


def _explained(pattern: str, error: Exception) -> PatternError:
    said = str(error.args[0] if error.args else error)
    if error.args and isinstance(error.args[0], bytes):
        said = error.args[0].decode(errors="replace")
    words, _, culprit = said.partition(": ")
    found = _LOOK_AROUND.search(pattern)
    if found and "perl operator" in words:
        text = f"RE2 has no look-ahead or look-behind: '{found[0]}'"
        return PatternError(text, found.start())
    found = _BACK_REFERENCE.search(pattern)
    if found and ("escape" in words or "perl operator" in words):
        text = f"RE2 has no back-references: '{found[0]}'"
        return PatternError(text, found.start())
    text = _WORDS.get(words, words)
    if culprit and culprit != pattern:
        text = f"{text} '{culprit}'"
    return PatternError(text, max(0, _offset(pattern, words, culprit)))


def _offset(pattern: str, words: str, culprit: str) -> int:
    """Return where the reason stands, as well as RE2 lets one know."""
    if words == "missing )":
        return pattern.find("(")
    if words == "unexpected )":
        return pattern.rfind(")")
    if words == "trailing \\":
        return len(pattern) - 1
    return pattern.find(culprit) if culprit else 0
