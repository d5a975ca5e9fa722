"""Which parts of a mail S/MIME (RFC 8551) or PGP (RFC 3156, inline) has sealed.

In: a parsed mail and its octets. Out: what is to be verified or decrypted, cut out by
our own scan: what a reader sees and what is verified are the same octets. Nothing is
verified here. Only the outermost layer counts; a mail of two halves, of which one is
signed, is not signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from otrsd.mime.scan import Entity, leaves, scan, spans
from otrsd.mime.transfer import decode_transfer
from otrsd.model.mail import Mail

#: Octets of inline armour that are looked at.
_INLINE = 8 * 1024 * 1024
_TYPES = (
    "multipart/signed",
    "multipart/encrypted",
    "application/pkcs7-mime",
    "application/x-pkcs7-mime",
)
#: Why a good signature proves nothing.
PARTLY = "only a part of the mail is signed"
_ARMOUR = "-----BEGIN PGP "
#: Each is looked for once: a mail may have thousands of beginnings and no end.
_BEGIN = re.compile(r"^-----BEGIN PGP (SIGNED )?MESSAGE-----\r?$", re.MULTILINE)
_END = re.compile(r"^-----END PGP (?:MESSAGE|SIGNATURE)-----\r?$", re.MULTILINE)
_LONE_LF = re.compile(rb"(?<!\r)\n")


class Way(StrEnum):
    """What is to be done with what was found."""

    SMIME_DETACHED = "smime-detached"
    #: Signed or encrypted; only opening it tells.
    SMIME_OPAQUE = "smime-opaque"
    PGP_DETACHED = "pgp-detached"
    PGP_ENCRYPTED = "pgp-encrypted"
    PGP_CLEARSIGNED = "pgp-clearsigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One seal, as it was found."""

    way: Way
    #: CMS (DER) or OpenPGP data: the envelope, or the detached signature.
    data: bytes = b""
    #: The octets that a detached signature covers, with CRLF.
    covered: bytes = b""
    #: Why it can't be what it says; nothing is verified then.
    defect: str = ""
    #: Whether it says that it is encrypted.
    is_encrypted: bool = False
    #: Whether it stands in a text: then bare text is inside.
    is_inline: bool = False
    #: Whether there is nothing beside it: no other text, no other part.
    is_alone: bool = True


def find_seal(mail: Mail, content: bytes) -> Sealed | None:
    """Return the seal of a mail; ``None`` for nearly all mails."""
    declared = (mail.header("content-type") or "").lower()
    if declared.startswith(_TYPES):
        return _of_structure(content)
    if _ARMOUR in mail.text:
        return _of_text(content)
    return None


@dataclass(frozen=True, slots=True)
class Armour:
    """Where the first armoured text stands."""

    start: int
    end: int
    is_signed: bool


def find_armour(text: str) -> Armour | None:
    """Return where the first armoured PGP text begins and ends."""
    begin = _BEGIN.search(text)
    end = _END.search(text, begin.end()) if begin else None
    if begin is None or end is None:
        return None
    return Armour(begin.start(), end.end(), begin[1] is not None)


def _of_structure(content: bytes) -> Sealed | None:
    root = scan(content).root
    protocol = root.parameters.get("protocol", "").lower()
    kind = root.content_type
    if kind.endswith("pkcs7-mime"):
        asked = root.parameters.get("smime-type", "").lower()
        return Sealed(
            way=Way.SMIME_OPAQUE,
            data=_octets(content, root),
            is_encrypted=asked != "signed-data",
        )
    if kind == "multipart/encrypted" and protocol == "application/pgp-encrypted":
        return _encrypted(content, root)
    if kind == "multipart/signed" and protocol.endswith(
        ("pkcs7-signature", "pgp-signature")
    ):
        return _signed(content, root, is_pgp=protocol.endswith("pgp-signature"))
    return None


def _encrypted(content: bytes, root: Entity) -> Sealed:
    if len(root.children) != 2:  # noqa: PLR2004 - RFC 3156 §4
        return Sealed(
            way=Way.PGP_ENCRYPTED, defect="it has not two parts", is_encrypted=True
        )
    data = _octets(content, root.children[1])
    return Sealed(way=Way.PGP_ENCRYPTED, data=data, is_encrypted=True)


def _signed(content: bytes, root: Entity, *, is_pgp: bool) -> Sealed:
    way = Way.PGP_DETACHED if is_pgp else Way.SMIME_DETACHED
    places = spans(content, root)
    if len(root.children) != 2 or len(places) != 2:  # noqa: PLR2004 - RFC 1847 §2.1
        return Sealed(way=way, defect="it has not two parts: what else is not signed")
    start, end = places[0]
    return Sealed(
        way=way,
        data=_octets(content, root.children[1]),
        covered=_LONE_LF.sub(b"\r\n", content[start:end]),
    )


def _of_text(content: bytes) -> Sealed | None:
    """Find inline PGP in the first text part."""
    parts = [*leaves(scan(content).root)]
    texts = [x for x in parts if x.content_type == "text/plain"]
    if not texts:
        return None
    octets = _octets(content, texts[0])[:_INLINE]
    # A letter an octet: whatever the charset is, what is cut out are the same octets.
    found = find_armour(octets.decode("latin-1"))
    if found is None:
        return None
    block = octets[found.start : found.end]
    # A reader may be shown the HTML beside it, and trusts a file that came with it.
    alone = octets.strip() == block.strip() and len(parts) == 1
    return Sealed(
        way=Way.PGP_CLEARSIGNED if found.is_signed else Way.PGP_ENCRYPTED,
        data=block,
        defect="" if alone or not found.is_signed else PARTLY,
        is_encrypted=not found.is_signed,
        is_inline=True,
        is_alone=alone,
    )


def _octets(content: bytes, entity: Entity) -> bytes:
    found = decode_transfer(content, entity.start, entity.end, entity.encoding)
    return b"".join(found)
