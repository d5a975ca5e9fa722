"""What S/MIME or PGP has to do with a mail: signed, encrypted, and whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One mail's signature and encryption."""

    #: ``S/MIME`` or ``PGP``; empty: neither.
    kind: str = ""
    #: ``valid``, ``invalid``, ``unchecked``; empty: not signed as far as we see.
    signed: str = ""
    #: Addresses that the signer's certificate or key names, in lower case.
    by: tuple[str, ...] = ()
    #: ``opened``, ``closed``; empty: not encrypted.
    encrypted: str = ""
    #: Why it is not valid or not opened; for a person.
    reason: str = ""

    def proves(self, address: str) -> bool:
        """Tell whether whoever has this address has signed."""
        return self.signed == "valid" and address.lower() in self.by

    def __str__(self) -> str:
        """Return it in one line for a person."""
        if not self.kind:
            return ""
        by = f" by {', '.join(self.by)}" if self.by else ""
        said = (
            f"signature {self.signed}{by}" if self.signed else "",
            f"encrypted, {self.encrypted}" if self.encrypted else "",
            self.reason,
        )
        return f"{self.kind}: " + "; ".join(each for each in said if each)

    def plain(self) -> dict[str, Any]:
        """Return the stored form: what is not empty."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value}

    @staticmethod
    def from_plain(value: Mapping[str, Any]) -> Seal:
        """Read the stored form; members this program does not know are ignored."""
        known = {f.name: value[f.name] for f in fields(Seal) if f.name in value}
        return Seal(**{**known, "by": tuple(known.get("by", ()))})
