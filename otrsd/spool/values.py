"""What travels into and out of the spool; frozen values, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from otrsd.model.envelope import Envelope


class State(StrEnum):
    """Where a spooled mail stands."""

    #: Waits for a worker.
    INCOMING = "incoming"
    #: Leased by a worker.
    ACTIVE = "active"
    #: Waits for its next attempt.
    DEFERRED = "deferred"
    #: Waits for a person's release.
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One mail on its way in."""

    #: Spool id (:mod:`otrsd.ids`).
    id: str
    envelope: Envelope
    #: The content in pieces of any length, in order.
    chunks: Sequence[bytes]
    #: sha256 of the whole content, hexadecimal.
    sha256: str
    #: Octets of the whole content.
    size: int
    #: Not empty: the mail arrives held, for this reason.
    held: str = ""
    #: Plugins and ``rule:NAME`` that its journey leaves out (restored mail).
    without: frozenset[str] = frozenset()

    @staticmethod
    def of(
        spool_id: str, envelope: Envelope, chunks: Sequence[bytes], held: str = ""
    ) -> Arrival:
        """Measure ``chunks`` and return the arrival."""
        digest = sha256()
        for chunk in chunks:
            digest.update(chunk)
        return Arrival(
            id=spool_id,
            envelope=envelope,
            chunks=chunks,
            sha256=digest.hexdigest(),
            size=sum(map(len, chunks)),
            held=held,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """An id came twice with different octets; both mails are kept."""

    #: The id that both claimed.
    id: str
    #: The fresh id under which the second mail is held.
    held_as: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One mail in a worker's hand."""

    id: str
    envelope: Envelope
    content: bytes
    sha256: str
    size: int
    #: How often a worker died or overran with this mail alone in hand.
    strikes: int
    #: Attempts so far that ended in a defer.
    tries: int
    #: Whether it must be carried alone, not in a batch.
    alone: bool
    #: Plugins that are left out for this mail.
    without: frozenset[str]
    #: Whether a person released it: a hold verdict does not count again.
    released: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One spooled mail as a person sees it in a list."""

    id: str
    state: State
    envelope: Envelope
    received_at: datetime
    #: Only for deferred mails.
    next_attempt_at: datetime | None
    tries: int
    strikes: int
    #: The worker that has it in hand; empty unless active.
    worker: str
    alone: bool
    without: frozenset[str]
    sha256: str
    size: int
    #: Why it is deferred or held.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginHealth:
    """One plugin that failed at its last call."""

    name: str
    failures_in_a_row: int
    #: It is not called before this time; ``None`` while it still is.
    off_until: datetime | None
    #: What it said last.
    error: str
