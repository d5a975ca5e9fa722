"""Ticket numbers in a subject, and a subject without them.

In: a decoded subject and the site's hook (``Ticket#``). Out: the numbers quoted as
``[Ticket#N]``, ``Ticket#N`` or ``Ticket#: N`` (features.md 2.4), or the subject
without these tags and without reply prefixes. Nothing fails. A number proves
nothing about its sender; whether it names a ticket is for others to say.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: Characters of a subject that are read.
_READ = 998
#: Numbers that are returned.
_NUMBERS = 10
#: ``Re:`` in the languages of common mailers, also counted (``Re[4]:``, ``Re (2):``).
_REPLY = re.compile(
    r"(?i)\s*(?:re|aw|antw|antwort|sv|vs|odp|ynt|rif|res|ref|re\.|回复|答复|回覆)"
    r"\s*(?:\[\d{1,4}\]|\(\d{1,4}\)|\^\d{1,4})?\s*[:\uff1a]"
)
#: ``Fwd:`` likewise.
_FORWARD = re.compile(
    r"(?i)\s*(?:fwd?|wg|tr|rv|i|enc|doorst|vb|pd|ilt|转发|轉寄)\s*[:\uff1a]"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)


def ticket_numbers(subject: str, hook: str) -> tuple[str, ...]:
    """Return the ticket numbers that ``subject`` quotes, in order, each once.

    Full-width and invisible characters are read through: mailers insert them.
    """
    shown = _INVISIBLE.sub("", unicodedata.normalize("NFKC", subject[:_READ]))
    found = (match["number"] for match in _tag(hook).finditer(shown))
    return tuple(dict.fromkeys(found))[:_NUMBERS]


def without_tags(subject: str, hook: str) -> str:
    """Return ``subject`` without our tags."""
    return " ".join(_tag(hook).sub(" ", subject[:_READ]).split())


def clean_subject(subject: str, hook: str) -> str:
    """Return ``subject`` without our tags and without a run of ``Re:`` in front."""
    text = without_tags(subject, hook)
    while match := _REPLY.match(text):
        text = text[match.end() :]
    return " ".join(text.split())


def forwarded_subject(subject: str, hook: str) -> str | None:
    """Return what a forward was about, cleaned; ``None`` for what is none."""
    text = without_tags(subject, hook)
    found = _FORWARD.match(text)
    if found is None:
        return None
    while found is not None:
        text = clean_subject(text[found.end() :], hook)
        found = _FORWARD.match(text)
    return text


@lru_cache(maxsize=16)
def _tag(hook: str) -> re.Pattern[str]:
    """Return the pattern of a tag; the hook's own ``:`` or ``#`` is not doubled."""
    name = re.escape(unicodedata.normalize("NFKC", hook).strip())
    return re.compile(
        rf"(?i)(?P<open>\[\s*)?(?<![^\W_]){name}\s*:?\s*(?P<number>[0-9]{{1,40}})(?![0-9])"
        r"(?(open)\s*\]|)"
    )
