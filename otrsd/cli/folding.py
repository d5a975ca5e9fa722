"""A mail's text as people read it: what it quotes is folded to one line.

In: the text, and the passages stored with it. Out: the text with each longer quote or
notice as ``[12 quoted lines]``. A short quote between answers stays: it says what the
answer is about. So does everything where there would be nothing else to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: Lines that are shown even though they are quoted.
SHORT = 3
#: Kind of passage → the words that stand for it; the attribution is part of its quote.
_FOLDED: Mapping[str, str] = {
    "attribution": "quoted lines",
    "quote": "quoted lines",
    "footer": "lines of notices",
}


def folded(text: str, passages: Iterable[Mapping[str, Any]]) -> str:
    """Return ``text`` with its longer quotes and notices folded."""
    pieces: list[str] = []
    at = 0
    for start, end, words in _joined(passages):
        lines = text[start:end].strip("\n").count("\n") + 1
        if lines > SHORT:
            pieces += (text[at:start], f"[{lines} {words}]\n\n")
            at = end
    pieces.append(text[at:])
    return "".join(pieces) if any(map(str.strip, pieces[::2])) else text


def _joined(passages: Iterable[Mapping[str, Any]]) -> list[tuple[int, int, str]]:
    """Return what is folded, an attribution and its quote as one."""
    found: list[tuple[int, int, str]] = []
    for passage in passages:
        words = _FOLDED.get(passage["kind"])
        if words is None:
            continue
        start, end = passage["start"], passage["end"]
        if found and found[-1][1:] == (start, words):
            start = found.pop()[0]
        found.append((start, end, words))
    return found
