"""Who may connect, and how many at once.

In: the address of a client; out: a :class:`Peer` (what we know of it) and, where
there is no room or no right, the reply that ends the session before it begins.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from otrsd.channels import replies
from otrsd.channels.limits import Limits
from otrsd.channels.replies import Reply
from otrsd.config.models import Listener

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: One IPv6 customer has at least a /64.
_IPV6_PEER_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What we know of a client before it says anything."""

    #: Its address, for the envelope and the log.
    address: str
    #: What the cap per peer counts.
    counted_as: str
    #: Whether the listener's ``allow`` names it.
    allowed: bool
    #: Whether it is the local MTA: lenient about line ends, no cap per peer.
    trusted: bool
    loopback: bool


class Admission:
    """Counts the open sessions of one listener."""

    def __init__(self, listener: Listener, limits: Limits) -> None:
        self._limits = limits
        self._allow = _networks(listener.allow)
        self._trusted = _networks(listener.trusted_cidr)
        self._open = 0
        self._open_of: dict[str, int] = {}
        # The same few clients come again and again.
        self.peer_at = lru_cache(maxsize=1024)(self._peer_at)

    def enter(self, peer: Peer) -> Reply | None:
        """Count a new session; return why there is no place for it."""
        if not peer.allowed:
            return replies.NOT_ALLOWED_HERE
        # One slot is kept for loopback, so that the operator gets through a flood.
        room = self._limits.max_connections - (0 if peer.loopback else 1)
        if self._open >= room:
            return replies.TOO_MANY_CONNECTIONS
        own = self._open_of.get(peer.counted_as, 0)
        if own >= self._limits.max_connections_per_peer and not peer.trusted:
            return replies.TOO_MANY_OF_YOURS
        self._open += 1
        self._open_of[peer.counted_as] = own + 1
        return None

    def leave(self, peer: Peer) -> None:
        """Count the end of a session that had a place."""
        self._open -= 1
        left = self._open_of[peer.counted_as] - 1
        if left:
            self._open_of[peer.counted_as] = left
        else:
            del self._open_of[peer.counted_as]

    def _peer_at(self, address: str) -> Peer:
        # A link-local address carries its interface after a percent sign.
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        counted_as = str(ip)
        if ip.version == 6:  # noqa: PLR2004 - the version's name is its number
            network = ipaddress.ip_network((ip, _IPV6_PEER_BITS), strict=False)
            counted_as = str(network)
        return Peer(
            address=str(ip),
            counted_as=counted_as,
            allowed=any(ip in network for network in self._allow),
            trusted=any(ip in network for network in self._trusted),
            loopback=ip.is_loopback,
        )


def _networks(blocks: Iterable[str]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(block, strict=False) for block in blocks)
