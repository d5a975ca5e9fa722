"""Which recipients are ours: queue addresses, postmaster, and nobody else.

In: the path of a RCPT command without its angle brackets; out: a :class:`Reply`.
Nothing is ever relayed: a foreign domain is refused whoever asks (RFC 5321 §7.8).
Domains and local parts are compared without regard to case, and a ``+extension``
of a queue address is that queue's. An address is only ever compared, it never
becomes part of a path, a command or a statement.
"""

from __future__ import annotations

import re

from otrsd.channels import replies
from otrsd.channels.replies import Reply
from otrsd.config.models import Config
from otrsd.config.routes import Routes, split

#: Local parts that may reach the catch-all queue. Left out of RFC 5321's atext is
#: what shells, paths and the old routing of % and ! give a meaning to.
_PLAIN = re.compile(r"\w[\w.+=~&'#-]*")
_LOCAL_PART_LIMIT = 64


class Recipients:
    """The addresses of one configuration."""

    def __init__(self, config: Config) -> None:
        self._routes = Routes(config)

    def answer(self, address: str) -> Reply:
        """Return what the client hears about ``address``."""
        local, domain = split(address)
        if not local or (not domain and address.endswith("@")):
            return replies.BAD_RECIPIENT
        if local == "postmaster" and (not domain or domain in self._routes.domains):
            # RFC 5321 §4.5.1: with our domains, and with none at all.
            return replies.RECIPIENT_OK
        if self._routes.queue_of(address) is not None:
            return replies.RECIPIENT_OK
        if _PLAIN.fullmatch(local) is None or len(local) > _LOCAL_PART_LIMIT:
            return replies.BAD_RECIPIENT
        return self._answer_unknown(domain)

    def _answer_unknown(self, domain: str) -> Reply:
        # Where no queue names a domain, none is foreign.
        if domain and self._routes.domains and domain not in self._routes.domains:
            return replies.NO_RELAY
        return (
            replies.RECIPIENT_OK
            if self._routes.catch_all
            else replies.UNKNOWN_RECIPIENT
        )
