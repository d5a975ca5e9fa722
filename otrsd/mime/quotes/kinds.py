"""What a passage of a text is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Who wrote a passage, and what for."""

    #: What the person wrote now.
    REPLY = "reply"
    #: What somebody wrote before.
    QUOTE = "quote"
    #: The line or header block that introduces a quote.
    ATTRIBUTION = "attribution"
    #: A mail that was passed on, with its header; it is there to be read.
    FORWARD = "forward"
    #: From ``-- `` or "Sent from my iPhone" on.
    SIGNATURE = "signature"
    #: What machines append: legal notices, list footers, rules.
    FOOTER = "footer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Characters of a text that are of one kind."""

    #: The first character, and the first one after it.
    start: int
    end: int
    kind: Kind
