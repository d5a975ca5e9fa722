"""All numbers of the SMTP and LMTP listeners in one table.

In: a ``Listener`` of the configuration; out: frozen :class:`Limits`. What the
configuration does not set is a constant with the paragraph it comes from;
``reliability.md`` §5 lists them for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from otrsd.config.models import MIB, Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one session may do, and all sessions of one listener together."""

    #: Largest content in octets (RFC 1870).
    max_size: int
    #: Open sessions of this listener; one more slot than others get is loopback's.
    max_connections: int
    #: Open sessions of one IPv4 address or IPv6 /64; trusted peers have no such cap.
    max_connections_per_peer: int
    #: Accepted recipients of one mail (RFC 5321 §4.5.3.1.8).
    max_recipients: int
    #: Octets of a command line with its line end (RFC 5321 §4.5.3.1.4).
    command_line: int = 512
    #: Octets that SIZE (RFC 1870 §3), SMTPUTF8 and BODY (RFC 6531 §3.4) add to MAIL.
    mail_parameters: int = 26 + 10 + 14
    #: Octets of a path (RFC 5321 §4.5.3.1.3).
    path: int = 256
    #: Octets of a line of content without CR LF (RFC 5321 §4.5.3.1.6).
    line: int = 998
    #: The same where the local MTA hands on what it has taken already.
    trusted_line: int = 64 * 1024
    #: Received fields; more are a loop (RFC 5321 §6.3).
    max_received: int = 50
    #: Seconds for one command to arrive (RFC 5321 §4.5.3.2 asks for more; Postfix
    #: shows that a busy server can't afford it).
    command_seconds: float = 60
    #: Seconds for a session in all.
    session_seconds: float = 600
    #: Every so many seconds of DATA must bring ``data_rate`` octets each.
    data_window: float = 60
    data_rate: int = 500
    #: Refused commands before the session ends.
    max_errors: int = 20
    #: NOOP, RSET, VRFY, HELP, HELO, EHLO, LHLO without a mail between.
    max_useless: int = 100
    #: So many seconds after the spool was full MAIL is refused without a try.
    full_seconds: float = 5
    #: Seconds that a running DATA may take after a stop was asked for.
    stop_seconds: float = 25

    @property
    def overlong_weight(self) -> int:
        """Return how many errors an overlong command line counts: three are enough."""
        return self.max_errors // 3 + 1


def limits_of(listener: Listener) -> Limits:
    """Return the limits that ``listener`` of the configuration sets."""
    return Limits(
        max_size=listener.max_size,
        max_connections=listener.max_connections,
        max_connections_per_peer=listener.max_connections_per_peer,
        max_recipients=listener.max_recipients,
    )


class Budget:
    """Octets of content that all sessions together may hold in memory."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @classmethod
    def for_listeners(cls, listeners: Iterable[Listener]) -> Budget:
        """Return the budget of the sessions of all ``listeners``."""
        return cls.for_sizes(listener.max_size for listener in listeners)

    @classmethod
    def for_sizes(cls, sizes: Iterable[int]) -> Budget:
        """Return room for four of the largest mails, and for many small ones."""
        return cls(max(64 * MIB, 4 * max(sizes, default=0)))

    def has(self, octets: int) -> bool:
        """Tell whether there is room for ``octets`` now."""
        return octets <= self._free

    def take(self, octets: int) -> bool:
        """Take ``octets`` if there is room; tell whether there was."""
        if octets > self._free:
            return False
        self._free -= octets
        return True

    def give(self, octets: int) -> None:
        """Give ``octets`` back."""
        self._free += octets
