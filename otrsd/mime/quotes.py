"""Telling the new text of a mail from what it quotes, by marks that stay beside it.

In: the readable text of a mail. Out: its passages, or the reply and the signature
alone. Nothing is thrown away, nothing fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a passage is."""

    REPLY = "reply"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Characters ``start`` to ``end`` of a text, and what they are."""

    start: int
    end: int
    kind: Kind


def divide(text: str) -> tuple[Passage, ...]:
    """Return the passages of ``text`` in order, without gaps."""
    cut = text.find("\n-- \n") + 1
    if not cut:
        return (Passage(start=0, end=len(text), kind=Kind.REPLY),)
    return (
        Passage(start=0, end=cut, kind=Kind.REPLY),
        Passage(start=cut, end=len(text), kind=Kind.SIGNATURE),
    )


def reply_text(text: str) -> str:
    """Return what the author wrote himself."""
    return _only(text, Kind.REPLY)


def signature(text: str) -> str:
    """Return the author's signature."""
    return _only(text, Kind.SIGNATURE)


def _only(text: str, kind: Kind) -> str:
    found = (text[p.start : p.end] for p in divide(text) if p.kind == kind)
    return "".join(found).strip("\n")
