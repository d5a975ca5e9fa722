"""Weigh whether a mail that is no proper report is a mail system's letter.

In: what its header and its text say. Out: points; from ``ENOUGH`` on it is one. A
machine must show in the header, or nothing counts: a customer who forwards or quotes
a returned mail is a customer. That comes first and is cheap, as every mail pays it.
"""

from __future__ import annotations

from dataclasses import dataclass

from otrsd.mime.bounce.phrases import (
    DAEMONS,
    DELAYS,
    FINAL,
    PASSED_ON,
    RETURNED,
    SUBJECTS,
    SYSTEMS,
    TEXTS,
)

#: Points from which on a mail is one that comes back.
ENOUGH = 4
#: Characters of the text that are looked at.
_READ = 4000
_STRUCTURES = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/delivery-status"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is looked at; everything but the text is in lower case."""

    #: The From field, and whether it holds an address.
    author: str
    has_author: bool
    subject: str
    null_sender: bool
    failed_recipients: bool = False
    #: It is a multipart/report, or says that it is automatic.
    is_report: bool = False
    is_automatic: bool = False
    #: The types of its parts.
    types: frozenset[str] = frozenset()
    text: str = ""


def weight(signs: Signs) -> int:
    """Return how much speaks for a mail that comes back."""
    subject = _says(SUBJECTS, signs.subject)
    by_machine = _machine(signs)
    # Robots mark what they send, too; only a subject makes one a mail system.
    by_machine += signs.is_automatic and (subject or by_machine > 0)
    if not by_machine:
        return 0
    if signs.subject.startswith(PASSED_ON):
        by_machine -= 2
    head = own_words(signs.text)
    points = by_machine + 2 * subject + 2 * _says(TEXTS, head)
    points += 2 * ("message/delivery-status" in signs.types)
    returned = not signs.types.isdisjoint(_STRUCTURES)
    return points + (returned or len(head) < len(_flat(signs.text[:_READ])))


def is_delay(subject: str, text: str) -> bool:
    """Tell whether a letter only says that a mail is late."""
    head = own_words(text)
    late = _says(DELAYS, subject.lower()) or _says(DELAYS, head)
    return late and not _says(FINAL, head)


def own_words(text: str) -> str:
    """Return what a letter itself says: flat, in lower case, before what it returns."""
    lower = text[:_READ].lower()
    return _flat(lower[: returned_at(lower)])


def returned_at(lower: str) -> int:
    """Return where the returned mail begins in a text; its length if it does not."""
    return min(
        (at for each in RETURNED if (at := lower.find(each)) >= 0), default=len(lower)
    )


def _machine(signs: Signs) -> int:
    points = 2 * signs.null_sender + 2 * signs.failed_recipients
    points += signs.is_report + (not signs.has_author)
    if _says(DAEMONS, signs.author):
        return points + 2
    return points + _says(SYSTEMS, signs.author)


def _says(phrases: tuple[str, ...], text: str) -> bool:
    return any(each in text for each in phrases)


def _flat(text: str) -> str:
    """Return a text without what it quotes, and with single blanks."""
    lines = (line for line in text.splitlines() if not line.startswith(">"))
    return " ".join(" ".join(lines).split())
