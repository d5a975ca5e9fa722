"""Spam to the trash, viruses on hold: what the site's own scanner said of a mail.

The plugin scans nothing. It reads the header fields that a scanner before us has
written, but only those that ``trust`` proves to be ours: a sender can write
``X-Spam-Flag: NO`` as well. Where one scanner says spam, another one's "no" does not
help. Further: senders and words of a subject that are never wanted.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Literal

from otrsd import (
    Envelope,
    HeaderField,
    Mail,
    Match,
    Names,
    Settings as BaseSettings,
    Trust,
    Verdict,
    hookimpl,
)

#: Header field → (how its value begins, what that means), the first one counts.
#: SpamAssassin, rspamd, Amavis and clamav-milter write these.
MEANINGS = {
    "x-spam-flag": (("yes", "spam"),),
    "x-spam": (("yes", "spam"),),
    "x-spam-status": (("yes", "spam"),),
    # "False" may still be spam: it only says that rspamd did not reject.
    "x-spamd-result": (("default: true", "spam"),),
    "x-spam-action": (
        ("add header", "spam"),
        ("rewrite subject", "spam"),
        ("reject", "spam"),
    ),
    "x-virus-status": (("infected", "virus"),),
    "x-amavis-alert": (("infected", "virus"), ("banned", "virus")),
}
MEANINGS["x-rspamd-action"] = MEANINGS["x-spam-action"]
#: Where a scanner writes its points.
SCORES = {
    "x-spam-status": re.compile(r"\b(?:score|hits)=(-?\d+(?:\.\d+)?)"),
    "x-spam-score": re.compile(r"^\s*(-?\d+(?:\.\d+)?)"),
    "x-spamd-result": re.compile(r"\[(-?\d+(?:\.\d+)?) /"),
}


class Settings(BaseSettings):
    """Without settings nothing is believed and nothing is discarded."""

    #: Which fields are our own MX's.
    trust: Trust = Trust()
    #: What becomes of a mail with a virus or a banned file: hold or discard.
    virus: Literal["hold", "discard"] = "hold"
    #: From these points on it is spam whatever the scanner decided.
    spam_score: float | None = None
    #: From these points on it gets the tag ``suspect``.
    suspect_score: float | None = None
    #: Senders (envelope or From) that are never wanted; ``*`` is any text.
    block_senders: Names = ()
    #: A subject with one of these in it is never wanted.
    block_subjects: Names = ()
    #: Ways in on which spam is only tagged: monitoring, a registrar's robots.
    never_discard: tuple[Match, ...] = ()


class Plugin:
    """The hook."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @hookimpl
    def screen_mail(self, mail: Mail, envelope: Envelope) -> Verdict | None:
        """Return the most severe opinion there is."""
        settings = self._settings
        fields = settings.trust.fields(mail)
        if virus := said(fields, "virus"):
            is_held = settings.virus == "hold"
            return Verdict.hold(virus) if is_held else Verdict.discard(virus)
        reason = self._is_unwanted(mail, envelope) or self._is_spam(fields)
        if not reason:
            return self._suspicion(fields)
        # A false alarm about an alert is worse than one more ticket.
        if any(match.fits(envelope) for match in settings.never_discard):
            return Verdict.accept(reason, "spam")
        return Verdict.discard(reason)

    def _is_unwanted(self, mail: Mail, envelope: Envelope) -> str:
        senders = {
            envelope.mail_from,
            *(a.address for a in (mail.author, mail.sender) if a),
        }
        for sender in sorted(senders):
            if sender and is_listed(sender, self._settings.block_senders):
                return f"block_senders: {sender}"
        subject = mail.subject.casefold()
        words = (w for w in self._settings.block_subjects if w.casefold() in subject)
        return next((f"block_subjects: {word}" for word in words), "")

    def _is_spam(self, fields: tuple[HeaderField, ...]) -> str:
        reason = said(fields, "spam")
        limit, points = self._settings.spam_score, score(fields)
        if not reason and limit is not None and points is not None and points >= limit:
            return f"{points} points, spam_score is {limit}"
        return reason

    def _suspicion(self, fields: tuple[HeaderField, ...]) -> Verdict | None:
        limit, points = self._settings.suspect_score, score(fields)
        if limit is None or points is None or points < limit:
            return None
        return Verdict.accept(f"{points} points", "suspect")


def said(fields: tuple[HeaderField, ...], wanted: str) -> str:
    """Return the field that says ``wanted``; empty if none does."""
    for field in fields:
        value = field.value.strip()
        for beginning, meaning in MEANINGS.get(field.name.lower(), ()):
            if meaning == wanted and value.lower().startswith(beginning):
                return f"{field.name}: {value[:80]}"
    return ""


def score(fields: tuple[HeaderField, ...]) -> float | None:
    """Return the most points that a scanner gave."""
    found = (
        pattern.search(field.value)
        for field in fields
        if (pattern := SCORES.get(field.name.lower()))
    )
    points = [float(match[1]) for match in found if match]
    return max(points, default=None)


def is_listed(address: str, patterns: Names) -> bool:
    """Compare an address with ``name@domain``, ``@domain`` or patterns with ``*``."""
    address = address.lower()
    return any(
        fnmatchcase(address, f"*{one}" if one.startswith("@") else one)
        for one in map(str.lower, patterns)
    )
