"""A parsed mail: what rules, plugins and the desk see of its content.

Made only by :mod:`otrsd.mime`, from the octets sent in DATA; the octets
themselves are kept unchanged in the store and are not part of this value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from otrsd.model.auth import Auth
from otrsd.model.seal import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One mailbox of RFC 5322 §3.4."""

    #: Display name, decoded; may be empty.
    name: str = ""
    #: ``local@domain``; the domain in lower case, the local part as written.
    address: str

    @property
    def domain(self) -> str:
        """Return what stands behind the last ``@``."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderField:
    """One header field, unfolded and decoded (RFC 5322 §2.2, RFC 2047)."""

    name: str
    value: str


def is_control(name: str) -> bool:
    """Tell whether a header field of this name steers a ticket system (row K01)."""
    return name.lower().startswith(("x-otrs-", "x-otrsd-"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One leaf of the MIME tree, as it can be listed and fetched."""

    #: Position in the tree: ``1``, ``1.2``, ``2.1`` … (IMAP's numbering); ``2~1`` is
    #: the first file in part 2, a winmail.dat or a text with files written into it.
    path: str
    #: ``type/subtype`` in lower case; octet-stream where it was malformed.
    content_type: str
    #: Cleaned name, safe to show and to save under; empty if it has none.
    filename: str = ""
    #: The name as it was written, decoded: to look at, never to save under.
    declared: str = ""
    #: Octets after decoding.
    size: int = 0
    #: Content-ID without angle brackets.
    content_id: str = ""
    #: Whether a reader would list it as an attachment (not the text itself).
    is_attachment: bool = True
    #: Path of the message or file in which it lies; empty for a part of this mail.
    within: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail object's content, decoded under limits; parsing never raises."""

    #: sha256 of the octets, hexadecimal.
    sha256: str
    #: Number of octets.
    size: int
    #: Header fields in order, at most 1,000.
    headers: tuple[HeaderField, ...] = ()
    #: Own Message-ID with angle brackets, or empty where it has no usable one.
    message_id: str = ""
    #: Subject on one line, at most 998 characters.
    subject: str = ""
    #: The author, only where there is exactly one mailbox and no defect in the
    #: field: nothing else may count as identity (CVE-2023-27043).
    author: Address | None = None
    #: The From field as text, for display.
    from_text: str = ""
    sender: Address | None = None
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    #: Message-IDs of In-Reply-To and References, nearest first, at most 50.
    references: tuple[str, ...] = ()
    #: The Date field; ``None`` where absent or not a date.
    date: datetime | None = None
    #: The readable text: plain, or made from HTML; capped.
    text: str = ""
    #: The HTML alternative as sent (never shown unsanitised); capped.
    html: str = ""
    parts: tuple[Part, ...] = ()
    #: What was wrong with it, in words; empty for a clean mail.
    defects: tuple[str, ...] = ()
    #: Set where the structure is hostile (nesting, lone CR …): hold, don't deliver.
    hostile: str = ""
    #: Equal for two copies of the same mail: sha256 over Message-ID, From, Date,
    #: Subject and body; empty without an own Message-ID (never a duplicate).
    dedup_key: str = ""
    #: What is proved about the sender; the postmaster adds it to what was parsed.
    auth: Auth = Auth()  # noqa: RUF009 - a frozen value
    #: Its signature and encryption; likewise.
    seal: Seal = Seal()  # noqa: RUF009 - a frozen value
    #: Who or what has written it: ``human``, ``bounce``, ``vacation`` …; the postmaster
    #: adds it to what was parsed.
    kind: str = "human"

    def header(self, name: str) -> str | None:
        """Return the first field called ``name``, ``None`` if there is none."""
        wanted = name.lower()
        return next((f.value for f in self.headers if f.name.lower() == wanted), None)

    def header_all(self, name: str) -> tuple[str, ...]:
        """Return every field called ``name``, in order."""
        wanted = name.lower()
        return tuple(f.value for f in self.headers if f.name.lower() == wanted)
