"""Our own SPF, DKIM, DMARC and ARC checks, by dkimpy and pyspf (extra ``auth``).

In: a mail, its envelope, its octets, a :data:`~otrsd.mime.dns.Lookup`. Out: an
:class:`~otrsd.model.auth.Auth` said by ``otrsd``. Never raises for a mail: what the
libraries trip over is ``permerror``, a DNS that does not answer is ``temperror``.
What would take them long (they match runs of blanks in quadratic time, and believe
any size of key) is not given to them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from otrsd.errors import ConfigError
from otrsd.mime import dmarc
from otrsd.mime.dns import ADVICE, DnsAwayError, Lookup
from otrsd.model.auth import Auth, Said, said
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail

#: Signatures that are verified; more are not looked at.
SIGNATURES = 5
#: Sets of ARC that are verified: each takes a look at the whole mail.
SEALS = 10
#: Octets of a public key's record.
KEY_OCTETS = 2048
#: Sum of the squared lengths of runs of blanks that may be matched.
_WORK = 50_000_000
_RUN = 64
_RUNS = re.compile(rb" {64,}")
_BLANKS = bytes.maketrans(b"\t", b" ")

_look: ContextVar[Lookup] = ContextVar("look")


class SenderChecks:
    """The checks, made once for a site."""

    def __init__(
        self, within: Callable[[float], Lookup], relays: Sequence[str] = ()
    ) -> None:
        """``relays``: networks of our own MTAs, whose address says nothing."""
        self._within = within
        self._relays = [ipaddress.ip_network(each) for each in relays]
        self._dkim, self._spf = _libraries()

    def check(
        self, mail: Mail, envelope: Envelope, content: bytes, seconds: float
    ) -> Auth:
        """Return what can be proved within ``seconds`` of DNS."""
        look = self._within(seconds)
        spf, spf_domain = self._ask_spf(envelope, look)
        dkim, signers, notes = self._ask_dkim(mail, content, look)
        domain = _ascii(mail.author.domain) if mail.author else ""
        verdict = _dmarc(
            domain, spf_domain if spf is Said.PASS else "", signers, (spf, dkim), look
        )
        return Auth(
            by="otrsd",
            dkim=dkim,
            spf=spf,
            dmarc=verdict.said,
            arc=self._ask_arc(mail, content, look),
            signers=signers,
            spf_domain=spf_domain,
            domain=domain,
            policy=verdict.policy,
            notes=notes,
        )

    def _ask_spf(self, envelope: Envelope, look: Lookup) -> tuple[Said, str]:
        """Ask SPF; only the client's own address proves anything (RFC 7208)."""
        if envelope.channel != "smtp" or self._is_relay(envelope.peer):
            return Said.NONE, ""
        domain = _ascii(envelope.mail_from.rpartition("@")[2] or envelope.helo)
        token = _look.set(look)
        try:
            question = self._spf.query(
                i=envelope.peer, s=envelope.mail_from, h=envelope.helo, querytime=10
            )
            return said(question.check()[0]), domain
        except Exception:  # noqa: BLE001 - what a sender wrote made it fail
            return Said.PERMERROR, domain
        finally:
            _look.reset(token)

    def _is_relay(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return True
        return address.is_loopback or any(address in each for each in self._relays)

    def _ask_dkim(
        self, mail: Mail, content: bytes, look: Lookup
    ) -> tuple[Said, tuple[str, ...], tuple[str, ...]]:
        there = len(mail.header_all("dkim-signature"))
        if not there:
            return Said.NONE, (), ()
        if not _is_affordable(content):
            note = "DKIM was not checked: too many blanks in a row"
            return Said.PERMERROR, (), (note,)
        results: list[Said] = []
        signers: list[str] = []
        for n in range(min(there, SIGNATURES)):
            result, signer = self._signature(content, n, look)
            results.append(result)
            if result is Said.PASS:
                signers.append(signer)
        best = next((r for r in _BEST if r in results), Said.NONE)
        return best, tuple(dict.fromkeys(signers)), ()

    def _signature(self, content: bytes, n: int, look: Lookup) -> tuple[Said, str]:
        try:
            signature = self._dkim.DKIM(content, minkey=1024)
            holds = signature.verify(idx=n, dnsfunc=_keys(look))
        except DnsAwayError:
            return Said.TEMPERROR, ""
        except self._dkim.ValidationError:
            return Said.FAIL, ""
        except Exception:  # noqa: BLE001 - what a sender wrote made it fail
            return Said.PERMERROR, ""
        if not holds:
            return Said.FAIL, ""
        if b"l" in (signature.signature_fields or {}):
            # Whoever likes can add to such a mail (RFC 6376 §8.2).
            return Said.POLICY, ""
        return Said.PASS, signature.domain.decode("ascii", "replace").lower()

    def _ask_arc(self, mail: Mail, content: bytes, look: Lookup) -> Said:
        seals = len(mail.header_all("arc-seal"))
        if not seals:
            return Said.NONE
        if seals > SEALS or not _is_affordable(content):
            return Said.PERMERROR
        try:
            result, _, _ = self._dkim.ARC(content, minkey=1024).verify(
                dnsfunc=_keys(look)
            )
        except DnsAwayError:
            return Said.TEMPERROR
        except Exception:  # noqa: BLE001 - what a sender wrote made it fail
            return Said.PERMERROR
        return said(result.decode("ascii", "replace"))


#: Of several signatures, the one that helps most counts.
_BEST = (Said.PASS, Said.TEMPERROR, Said.FAIL, Said.POLICY, Said.PERMERROR)


def _dmarc(
    domain: str,
    spf: str,
    signers: Sequence[str],
    asked: tuple[Said, Said],
    look: Lookup,
) -> dmarc.Verdict:
    if not domain:
        return dmarc.Verdict()
    try:
        verdict = dmarc.evaluate(domain, spf, signers, look)
    except DnsAwayError:
        return dmarc.Verdict(said=Said.TEMPERROR)
    except Exception:  # noqa: BLE001 - a name that the DNS can't have
        return dmarc.Verdict(said=Said.PERMERROR)
    if verdict.said is Said.FAIL and Said.TEMPERROR in asked:
        # What could not be asked may have passed.
        return dmarc.Verdict(said=Said.TEMPERROR, policy=verdict.policy)
    return verdict


def _keys(look: Lookup) -> Callable[..., bytes | None]:
    def key(name: bytes, timeout: float = 0) -> bytes | None:  # noqa: ARG001 - dkimpy's
        text = name.decode("ascii", "replace").rstrip(".")
        found = [t for t in look(text, "TXT") if len(t) <= KEY_OCTETS]
        return found[0] if found else None

    return key


def _is_affordable(content: bytes) -> bool:
    """Tell whether dkimpy's patterns end soon: each run of blanks costs its square."""
    plain = content.translate(_BLANKS)
    if b" " * _RUN not in plain:
        return True
    return sum(len(run) ** 2 for run in _RUNS.findall(plain)) <= _WORK


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""


def _libraries() -> tuple[Any, Any]:
    try:
        import dkim  # noqa: PLC0415 - an extra
        import spf  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(ADVICE) from error
    _give_dns(spf)
    return dkim, spf


def _give_dns(spf: ModuleType) -> None:
    """Let pyspf ask our Lookup: a module's name is its only place for that."""

    def answers(
        name: str, kind: str, _tcp: object = None, _timeout: float = 0
    ) -> Iterator[tuple[tuple[str, str], Any]]:
        try:
            found = _look.get()(name, kind)
        except DnsAwayError as error:
            raise spf.TempError(str(error)) from error
        # pyspf reads a TXT as its strings.
        return (((name, kind), [v] if kind == "TXT" else v) for v in found)

    vars(spf)["DNSLookup"] = answers
