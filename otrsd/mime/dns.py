"""Questions to the DNS under one deadline, for the sender checks.

A :data:`Lookup` is all that the checks know of the DNS, so that tests bring their
own. No such name, or no such record: an empty answer. No answer at all:
:class:`DnsAwayError`, which is ``temperror`` and never a reason to stop a mail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from otrsd.clock import Clock
from otrsd.errors import ConfigError, TemporaryError

#: Name, type (TXT, A, AAAA, MX, PTR) → TXT as octets, addresses and names as text,
#: MX as (preference, name).
Lookup = Callable[[str, str], Sequence[Any]]
#: Answers that are remembered.
_REMEMBERED = 2000
#: Octets of a TXT record that is read: a key of 8,192 bits has 1,400.
TXT_OCTETS = 4096
#: What to do where a package is missing.
ADVICE = (
    "site.check_senders needs dkimpy, pyspf and dnspython. Try: "
    "pip install 'otrsd[auth]', or leave the checks to your MTA (site.authserv_id)"
)


class DnsAwayError(TemporaryError):
    """The DNS does not answer, or not in time."""


class Resolver:
    """The system's resolver; resolv.conf is read at the first question."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made: Any = None
        try:
            import dns.exception  # noqa: PLC0415 - an extra
            import dns.resolver  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigError(ADVICE) from error
        self._dns = dns.resolver
        self._error = dns.exception.DNSException

    def within(self, seconds: float) -> Lookup:
        """Return a Lookup that ends after so many seconds in all."""
        until = self._clock.monotonic() + seconds

        def look(name: str, kind: str) -> Sequence[Any]:
            left = until - self._clock.monotonic()
            if left <= 0:
                raise DnsAwayError(f"{name}: no time left")
            found = self._resolve(name, kind, left)
            if kind == "TXT":
                return [text for text in found if len(text) <= TXT_OCTETS]
            return found

        return look

    def _resolve(self, name: str, kind: str, seconds: float) -> Sequence[Any]:
        try:
            if self._made is None:
                self._made = self._dns.Resolver()
                self._made.cache = self._dns.LRUCache(_REMEMBERED)
            answer = self._made.resolve(
                name, kind, lifetime=seconds, raise_on_no_answer=False, search=False
            )
        except self._dns.NXDOMAIN:
            return ()
        except self._error as error:
            raise DnsAwayError(f"{name}: {type(error).__name__}") from error
        return tuple(_plain(rdata, kind) for rdata in answer.rrset or ())


def _plain(rdata: Any, kind: str) -> Any:
    if kind == "TXT":
        return b"".join(rdata.strings)
    if kind == "MX":
        return rdata.preference, rdata.exchange.to_text(omit_final_dot=True)
    if kind == "PTR":
        return rdata.target.to_text(omit_final_dot=True)
    return rdata.address
