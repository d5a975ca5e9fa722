"""What all sessions of one listener share.

In: a ``Listener`` of the configuration and the parts that ``receiver.py`` was
given; out: an :class:`Entrance`, the only argument of a session. It also keeps
the open sessions, so that a stop can be told to each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from otrsd.channels.admission import Admission
from otrsd.channels.content import ContentLimits
from otrsd.channels.events import Log
from otrsd.channels.limits import Budget, Limits
from otrsd.channels.recipients import Recipients
from otrsd.clock import Clock
from otrsd.counters import Counters
from otrsd.model.envelope import Envelope

#: Connections that are refused are told in the log at most every so many seconds.
_REFUSALS_EVERY = 10.0


class Accepts(Protocol):
    """The way into the spool: ``channels/intake.py``."""

    async def accept(self, envelope: Envelope, chunks: Sequence[bytes]) -> str:
        """Return the spool id once the mail is on stable storage.

        Raises ``SpoolFullError`` where there is no room; anything else that it
        raises means the same to a client: not now.
        """
        ...


class Stoppable(Protocol):
    """An open session."""

    def stop(self) -> None:
        """End as soon as no mail is in hand."""
        ...

    def abort(self) -> None:
        """End now."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Entrance:
    """One listener and its open sessions."""

    #: ``smtp`` or ``lmtp``.
    channel: str
    #: Our own name in the greeting.
    hostname: str
    limits: Limits
    admission: Admission
    budget: Budget
    recipients: Recipients
    intake: Accepts
    clock: Clock
    log: Log
    loop: asyncio.AbstractEventLoop
    #: Sessions run in here.
    group: asyncio.TaskGroup
    counters: Counters = field(default_factory=Counters)
    #: Told to new connections once a stop was asked for.
    stopping: bool = False
    sessions: set[Stoppable] = field(default_factory=set)
    #: Set once a stop was asked for and the last session is gone.
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    #: Monotonic time up to which the spool counts as full.
    full_until: float = 0.0
    _refused: int = 0
    _refused_told_at: float | None = None

    @property
    def greeting(self) -> str:
        """Return the first line of a session; it names no version."""
        protocol = "LMTP" if self.channel == "lmtp" else "ESMTP"
        return f"220 {self.hostname} {protocol} otrsd"

    @property
    def keywords(self) -> str:
        """Return the reply to EHLO or LHLO, all lines in one."""
        lines = (
            self.hostname,
            f"SIZE {self.limits.max_size}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "PIPELINING",
        )
        more = "\r\n".join(f"250-{line}" for line in lines[:-1])
        return f"{more}\r\n250 {lines[-1]}"

    def content_limits(self, *, trusted: bool) -> ContentLimits:
        """Return what a content may be that comes from such a peer (design.md §7)."""
        lenient = trusted or self.channel == "lmtp"
        return ContentLimits(
            max_size=self.limits.max_size,
            line=self.limits.trusted_line if lenient else self.limits.line,
            strict=not lenient,
            max_received=self.limits.max_received,
        )

    def note_full(self) -> None:
        """Remember that the spool had no room a moment ago."""
        self.full_until = self.clock.monotonic() + self.limits.full_seconds

    @property
    def is_full(self) -> bool:
        """Tell whether a content would be received for nothing."""
        return self.clock.monotonic() < self.full_until

    def note_refusal(self, address: str, reply: str) -> None:
        """Log a refused connection, but not thousands of them."""
        now = self.clock.monotonic()
        self._refused += 1
        told = self._refused_told_at
        if told is not None and now - told < _REFUSALS_EVERY:
            return
        self._refused_told_at = now
        self.log.warning(
            "session.refused",
            channel=self.channel,
            peer=address,
            reply=reply,
            refused=self._refused,
        )
        self._refused = 0

    def stop(self) -> None:
        """Let every session end as soon as no mail is in hand."""
        self.stopping = True
        for session in tuple(self.sessions):
            session.stop()
        self._look_whether_gone()

    def forget(self, session: Stoppable) -> None:
        """Note that ``session`` has ended."""
        self.sessions.discard(session)
        self._look_whether_gone()

    def _look_whether_gone(self) -> None:
        if self.stopping and not self.sessions:
            self.gone.set()

    def abort(self) -> None:
        """End the sessions that are left."""
        for session in tuple(self.sessions):
            session.abort()
