"""What a plugin or a rule thinks of a mail before it may touch a ticket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Disposition(IntEnum):
    """The dispositions, mildest first; the most severe of all verdicts wins."""

    ACCEPT = 0
    HOLD = 1
    DISCARD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One opinion of a mail; core folds all of them and records each."""

    disposition: Disposition
    #: Why, for a person: it stands in the trash, the spool list and the trace.
    reason: str = ""
    #: Tags for the ticket, if one is made after all.
    tags: tuple[str, ...] = ()

    @staticmethod
    def accept(reason: str = "", *tags: str) -> Verdict:
        """Let the mail pass."""
        return Verdict(disposition=Disposition.ACCEPT, reason=reason, tags=tags)

    @staticmethod
    def hold(reason: str) -> Verdict:
        """Keep the mail in the spool until a person releases it."""
        return Verdict(disposition=Disposition.HOLD, reason=reason)

    @staticmethod
    def discard(reason: str) -> Verdict:
        """Move the mail to the trash; it can be restored while it is kept."""
        return Verdict(disposition=Disposition.DISCARD, reason=reason)
