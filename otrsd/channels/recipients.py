"""Which recipients are ours: queue addresses, postmaster, and nobody else.

In: the path of a RCPT command without its angle brackets; out: a :class:`Reply`.
Nothing is ever relayed: a foreign domain is refused whoever asks (RFC 5321 §7.8).
Domains and local parts are compared without regard to case, and a ``+extension``
of a queue address is that queue's. An address is only ever compared, it never
becomes part of a path, a command or a statement.
"""

from __future__ import annotations

import re
from contextlib import suppress

from otrsd.channels import replies
from otrsd.channels.replies import Reply
from otrsd.config.models import Config

#: Local parts that may reach the catch-all queue. Left out of RFC 5321's atext is
#: what shells, paths and the old routing of % and ! give a meaning to.
_PLAIN = re.compile(r"\w[\w.+=~&'#-]*")
_LOCAL_PART_LIMIT = 64


class Recipients:
    """The addresses of one configuration."""

    def __init__(self, config: Config) -> None:
        known = (
            _split(address)
            for queue in config.queues.values()
            for address in queue.address
        )
        self._known = frozenset(known)
        self._domains = frozenset(domain for _, domain in self._known if domain)
        self._catch_all = bool(config.site.catch_all)

    def answer(self, address: str) -> Reply:
        """Return what the client hears about ``address``."""
        local, domain = _split(address)
        if not local or (not domain and address.endswith("@")):
            return replies.BAD_RECIPIENT
        if local == "postmaster" and (not domain or domain in self._domains):
            # RFC 5321 §4.5.1: with our domains, and with none at all.
            return replies.RECIPIENT_OK
        if self._is_known(local, domain):
            return replies.RECIPIENT_OK
        if _PLAIN.fullmatch(local) is None or len(local) > _LOCAL_PART_LIMIT:
            return replies.BAD_RECIPIENT
        if domain and domain not in self._domains and self._domains:
            return replies.NO_RELAY
        if self._catch_all:
            # Where no queue names a domain, none is foreign.
            return replies.RECIPIENT_OK
        return replies.UNKNOWN_RECIPIENT if self._domains else replies.NO_RELAY

    def _is_known(self, local: str, domain: str) -> bool:
        if (local, domain) in self._known:
            return True
        base, plus, _ = local.partition("+")
        return bool(plus) and (base, domain) in self._known


def _split(address: str) -> tuple[str, str]:
    """Return local part and domain in the form in which they are compared."""
    local, _, domain = address.rpartition("@") if "@" in address else (address, "", "")
    domain = domain.lower().rstrip(".")
    if not domain.isascii():
        with suppress(UnicodeError):
            domain = domain.encode("idna").decode("ascii")
    return local.lower(), domain
