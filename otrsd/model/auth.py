"""What is proved about a mail's sender (RFC 8601): DKIM, SPF, DMARC and ARC.

A result is somebody's word: our own MTA's, or our own checks'. Nobody's word is
``none`` everywhere, and proves and refutes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Said(StrEnum):
    """The results of RFC 8601 §2.7; an unknown word counts as ``none``."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - RFC 8601's word
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


#: The four methods, as rules name them (``auth.dkim`` …).
METHODS = ("dkim", "spf", "dmarc", "arc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The results of one mail, and for which domains they hold."""

    #: Who says so: an authserv-id, ``otrsd`` for our own checks, or nobody.
    by: str = ""
    dkim: Said = Said.NONE
    spf: Said = Said.NONE
    dmarc: Said = Said.NONE
    arc: Said = Said.NONE
    #: Domains whose DKIM signature holds (``d=``), in lower case.
    signers: tuple[str, ...] = ()
    #: The domain that SPF speaks of.
    spf_domain: str = ""
    #: The domain of From that DMARC speaks of.
    domain: str = ""
    #: What that domain asks for where DMARC fails: none, quarantine, reject.
    policy: str = ""
    #: What was not believed, and why; for a person.
    notes: tuple[str, ...] = ()

    def proves(self, address: str) -> bool:
        """Tell whether the mail comes from the domain of ``address``.

        By DMARC, or by a DKIM signature of that domain or of one above it. It is
        the domain's word: that it lets only Kim write as Kim is its promise.
        """
        domain = address.rpartition("@")[2].lower()
        if not domain or self.refutes:
            return False
        if self.dmarc is Said.PASS and self.domain == domain:
            return True
        # A domain with a dot only: nobody's name ends a chain of trust.
        return any(
            "." in signer and f".{domain}".endswith(f".{signer}")
            for signer in self.signers
        )

    @property
    def refutes(self) -> bool:
        """Tell whether the domain in From disowns this mail."""
        return self.dmarc is Said.FAIL and self.policy in {"quarantine", "reject"}

    def __str__(self) -> str:
        """Return it in one line for a person."""
        if not self.by:
            return ""
        about = {
            "dkim": " ".join(self.signers),
            "spf": self.spf_domain,
            "dmarc": f"{self.domain} p={self.policy}" if self.policy else self.domain,
            "arc": "",
        }
        said = [
            f"{name}={getattr(self, name)}" + (f" ({what})" if what else "")
            for name, what in about.items()
            if getattr(self, name) is not Said.NONE
        ]
        return f"{', '.join(said) or 'nothing'}, says {self.by}"

    def plain(self) -> dict[str, Any]:
        """Return the stored form: what is not as ever."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value not in _EMPTY}

    @staticmethod
    def from_plain(value: Mapping[str, Any]) -> Auth:
        """Read the stored form; members this program does not know are ignored."""
        known = {f.name: value[f.name] for f in fields(Auth) if f.name in value}
        for name in METHODS:
            known[name] = said(str(known.get(name, "")))
        for name in ("signers", "notes"):
            known[name] = tuple(known.get(name, ()))
        return Auth(**known)


_EMPTY: tuple[object, ...] = ("", "none", ())


def said(word: str) -> Said:
    """Return the result that a word stands for."""
    try:
        return Said(word.lower())
    except ValueError:
        # hardfail is what some write for fail (RFC 8601 Appendix D knows it).
        return Said.FAIL if word.lower() == "hardfail" else Said.NONE
