"""What one line of a text is, as far as one can tell without its neighbours.

In: a line. Out: the line cleaned for comparing, and its :class:`Sort`. Each line is
looked at once, a long one only at its ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from otrsd.mime.quotes import endings, words

#: Lines of a text that are looked at; what follows is as the line before it.
LINES = 3000
#: Characters of a line that can be more than plain text or a quote.
LONGEST = 400
#: Characters of a header name in front of its colon.
_LABEL = 40
#: Characters and words of a line like "Sent from my iPhone".
_SENT_FROM, _SENT_FROM_WORDS = 90, 10
#: What rules are drawn with; Streak's mark of a tracked mail looks like one too.
_STREAK = "ᐧ"
_RULERS = f"-‐‑‒–—―_=*#~+{_STREAK}"
_SECOND = frozenset((*_RULERS, " ", ""))
_DASHES = frozenset(("--", "—", "- -", "‐‐", "__"))
#: Characters that steer the direction of text or nothing at all.
_UNSEEN = dict.fromkeys(
    (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
) | {0xA0: " ", 0x202F: " ", 0xFF1A: ":"}
_LINK = re.compile(r"\s*[<(\[]https?:[^\s<>]{0,300}[>)\]]")


class Sort(Enum):
    """What a line is."""

    BLANK = auto()
    PLAIN = auto()
    #: It starts with ``>``.
    QUOTED = auto()
    #: It is drawn, not written: dashes, stars, underscores.
    RULE = auto()
    #: ``-- `` and its relatives (RFC 3676 §4.3).
    DASHES = auto()
    SENT_FROM = auto()
    #: "-----Original Message-----".
    ORIGINAL = auto()
    #: "Begin forwarded message:".
    FORWARDED = auto()
    #: "##- Please type your reply above this line -##".
    ABOVE = auto()
    #: A header name, a colon, perhaps a value.
    LABEL = auto()


@dataclass(frozen=True, slots=True)
class Page:
    """A text, line by line."""

    #: As they are, without their line feed; the last holds all that is beyond LINES.
    lines: list[str]
    #: Without surrounding space and unseen characters.
    texts: list[str]
    sorts: list[Sort]

    def next(self, at: int) -> int:
        """Return the first line from ``at`` that is not blank, or where they end."""
        sorts = self.sorts
        while at < len(sorts) and sorts[at] is Sort.BLANK:
            at += 1
        return at

    def is_quoted(self, at: int) -> bool:
        """Tell whether the first line from ``at`` that is not blank is quoted."""
        at = self.next(at)
        return at < len(self.sorts) and self.sorts[at] is Sort.QUOTED


def read(text: str) -> Page:
    """Return the lines of ``text`` with what they are."""
    lines = text.split("\n", LINES)
    texts = [_clean(line) for line in lines[:LINES]]
    sorts = [sort_of(each) for each in texts]
    if len(lines) > LINES:
        texts.append("")
        sorts.append(Sort.BLANK)
    return Page(lines, texts, sorts)


def _clean(line: str) -> str:
    if not line.isascii() and len(line) <= LONGEST:
        line = line.translate(_UNSEEN)
    return line.strip()


def sort_of(text: str) -> Sort:
    """Return what a cleaned line is."""
    if not text:
        return Sort.BLANK
    if text[0] == ">":
        # ">From " was written by an mbox (RFC 4155), not by a person.
        return Sort.PLAIN if text.startswith(">From ") else Sort.QUOTED
    if len(text) > LONGEST:
        return Sort.PLAIN
    found = _ruled(text) if text[0] in _RULERS else None
    return found or _worded(text)


def _worded(text: str) -> Sort:
    """Return what a line is by its words."""
    if label_of(text):
        return Sort.LABEL
    if text[-1] == ":" and is_forwarded(text):
        return Sort.FORWARDED
    return Sort.SENT_FROM if _is_sent_from(text) else Sort.PLAIN


def label_of(text: str) -> str:
    """Return what the header name in front of the colon names; empty if none."""
    at = text.find(":", 1, _LABEL)
    if at < 0:
        return ""
    return _LABELS.get(text[:at].strip(" *").casefold(), "")


def is_forwarded(text: str) -> bool:
    """Tell whether a quoted line says that a forwarded mail begins."""
    return len(text) <= _SENT_FROM and _PHRASES.get(_phrase(text)) is Sort.FORWARDED


def _phrase(text: str) -> str:
    return " ".join(text.strip(f"{_RULERS}> :.").casefold().replace("’", "'").split())


def _ruled(text: str) -> Sort | None:
    """Return what a line is that starts like a rule, ``None`` if it is none."""
    if text in _DASHES:
        return Sort.DASHES
    if text[1:2] not in _SECOND:
        return None
    phrase = _phrase(text)
    if not phrase:
        return Sort.RULE if len(text) > 1 or text == _STREAK else None
    if text[1] == " " and text[-1] not in _RULERS:
        # A list, a heading.
        return None
    if any(each in phrase for each in _ABOVE):
        return Sort.ABOVE
    by = phrase.startswith(_FORWARDED_BY)
    return Sort.FORWARDED if by else _PHRASES.get(phrase)


def _is_sent_from(text: str) -> bool:
    pattern = _SIGNED.get(text[:2].casefold())
    if pattern is None:
        return False
    shown = _LINK.sub("", text).rstrip(" .").casefold()
    return (
        len(shown) <= _SENT_FROM
        and shown.count(" ") < _SENT_FROM_WORDS
        and pattern.fullmatch(shown) is not None
    )


def _flat(table: Mapping[str, Iterable[str]]) -> list[str]:
    return [phrase for phrases in table.values() for phrase in phrases]


def _by_start(phrases: Iterable[str]) -> dict[str, re.Pattern[str]]:
    """Return the patterns by their first two characters: most lines need none."""
    starts: dict[str, list[str]] = {}
    for phrase in phrases:
        pattern = "[^,;!?]{0,50}".join(map(re.escape, phrase.split("*")))
        starts.setdefault(phrase[:2], []).append(pattern)
    return {start: re.compile("|".join(each)) for start, each in starts.items()}


_LABELS = {
    name: kind for kind, names in words.LABELS.items() for name in reversed(names)
}
_PHRASES = {
    **dict.fromkeys(_flat(words.ORIGINAL), Sort.ORIGINAL),
    **dict.fromkeys(_flat(words.FORWARDED), Sort.FORWARDED),
}
_FORWARDED_BY = ("forwarded by ", "weitergeleitet von ", "messaggio inoltrato da ")
_ABOVE = tuple(_flat(words.REPLY_ABOVE))
_SIGNED = _by_start(_flat(endings.SENT_FROM))
