"""DMARC (RFC 7489, with the tree walk of RFC 9989): which domain vouches for From.

In: the domain of From, the domains that SPF and DKIM have proved, a
:data:`~otrsd.mime.dns.Lookup`. Out: the result and the policy asked for. The walk up
the DNS tree finds an organisation's domain without a list of public suffixes. Fails
with DnsAwayError where the DNS does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from otrsd.mime.dns import Lookup
from otrsd.model.auth import Said

#: A name with more labels is shortened to so many (RFC 9989 §4.10).
_LABELS = 7
#: Labels that two names must share before it is asked whose they are.
_SHARED = 2
_POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What DMARC says."""

    said: Said = Said.NONE
    policy: str = ""


def evaluate(domain: str, spf: str, signers: Iterable[str], look: Lookup) -> Verdict:
    """Return the verdict on a From of ``domain``.

    ``spf``: the domain that SPF has proved, or nothing; ``signers``: those of DKIM.
    """
    tree = _Tree(look)
    record = tree.record(domain)
    is_own = record is not None
    if record is None:
        record = tree.record(tree.organisation(domain))
    if record is None:
        return Verdict()
    policy = _policy(record, is_own=is_own)
    aligned = tree.is_aligned(domain, spf, record.get("aspf", "r")) or any(
        tree.is_aligned(domain, signer, record.get("adkim", "r")) for signer in signers
    )
    return Verdict(said=Said.PASS if aligned else Said.FAIL, policy=policy)


def _policy(record: Mapping[str, str], *, is_own: bool) -> str:
    asked = record.get("p", "none")
    if not is_own:
        asked = record.get("sp", asked)
    if asked not in _POLICIES:
        return "none"
    if record.get("t") == "y" or record.get("pct") == "0":
        # A domain that only tries DMARC out wants one step less.
        return _POLICIES[max(0, _POLICIES.index(asked) - 1)]
    return asked


class _Tree:
    """The records met on the way up, each asked for once."""

    def __init__(self, look: Lookup) -> None:
        self._look = look
        self._known: dict[str, Mapping[str, str] | None] = {}

    def record(self, domain: str) -> Mapping[str, str] | None:
        """Return the one DMARC record of ``domain``."""
        if domain not in self._known:
            texts = self._look(f"_dmarc.{domain}", "TXT")
            found = [r for text in texts if (r := _tags(text))]
            self._known[domain] = found[0] if len(found) == 1 else None
        return self._known[domain]

    def organisation(self, domain: str) -> str:
        """Return the domain of the organisation that ``domain`` belongs to."""
        labels = domain.split(".")
        steps = [domain]
        if len(labels) > _LABELS + 1:
            labels = labels[-(_LABELS + 1) :]
        steps += [".".join(labels[n:]) for n in range(1, len(labels))]
        highest = domain
        for n, step in enumerate(steps):
            record = self.record(step)
            if record is None:
                continue
            if record.get("psd") == "y":
                return steps[n - 1] if n else step
            highest = step
            if record.get("psd") == "n":
                break
        return highest

    def is_aligned(self, domain: str, other: str, mode: str) -> bool:
        """Tell whether a proof of ``other`` counts for a From of ``domain``."""
        if other == domain:
            return True
        if not other or mode == "s":
            return False
        if other.split(".")[-_SHARED:] != domain.split(".")[-_SHARED:]:
            return False
        return self.organisation(other) == self.organisation(domain)


def _tags(text: bytes) -> Mapping[str, str]:
    """Read ``v=DMARC1; p=reject; …``; empty: no such record."""
    parts = text.decode("ascii", "replace").split(";")
    tags: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip().lower())
    is_first = parts[0].replace(" ", "").lower() == "v=dmarc1"
    return tags if is_first else {}
