"""What was read in a mail, as plain values, so that others can compare.

In: the content. Out: a dict for JSON: subject, first author, texts, attachments with
their md5, what kind of mail it is, reply and signature, defects. Nothing fails but
for want of memory.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from otrsd.mime.address import parse_addresses
from otrsd.mime.automatic import recognise
from otrsd.mime.fields import decode_words, raw_text
from otrsd.mime.parse import parse
from otrsd.mime.parts import PartReader
from otrsd.mime.quotes import reply_text, signature
from otrsd.mime.scan import Entity, scan
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Address, Mail, Part

#: Header field → how its value begins where a scanner calls the mail spam.
SPAM = {
    "x-spam-flag": ("yes",),
    "x-spam": ("yes",),
    "x-spam-status": ("yes",),
    "x-spamd-result": ("default: true",),
    "x-spam-action": ("add header", "rewrite subject", "reject"),
    "x-rspamd-action": ("add header", "rewrite subject", "reject"),
}
_LOCAL = re.compile(
    r"(?:\"?(?P<name>[^\"<>]{0,200}?)\"?\s*<(?P<angle>[\w.+-]{1,64})>"
    r"|(?P<bare>[\w.+-]{1,64})(?:\s*\((?P<comment>[^()]{0,200})\))?)\Z"
)
#: What was certainly meant as an address, though it keeps no syntax.
_LOOSE = re.compile(
    r"(?:<|mailto:)?([^\s<>\"'(),;:\[\]@]{1,64}@[^\s<>\"'(),;:\[\]@]{1,255})"
)
_AROUND = " <\"'[(,;:"
#: Such a file came by no channel.
_ENVELOPE = Envelope(received_at=datetime.fromtimestamp(0, UTC))


def report(content: bytes) -> dict[str, Any]:
    """Return what was read in ``content``."""
    mail = parse(content)
    author = _first_author(scan(content).root)
    reader = PartReader(content)
    recognised = recognise(mail, _ENVELOPE, content)
    return {
        "subject": mail.subject,
        "from_addr": author.address,
        "from_name": author.name,
        "text": [mail.text] if mail.text else [],
        "html": [mail.html] if mail.html else [],
        "attachments": [
            _attachment(reader, part) for part in mail.parts if part.is_attachment
        ],
        "auto": not recognised.is_human,
        "bounce": recognised.is_failure,
        "spam": _is_called_spam(mail),
        "reply_text": reply_text(mail.text),
        "signature": signature(mail.text),
        "defects": [*_no_mail(mail), *mail.defects, *filter(None, [mail.hostile])],
    }


def failure(defect: str) -> dict[str, Any]:
    """Return the report on a mail that could not be read."""
    return report(b"") | {"defects": [defect]}


def _first_author(root: Entity) -> Address:
    """Return the first author as written, whether or not that is an identity.

    A mail without one is by whom it asks to answer.
    """
    for wanted in (b"from", b"reply-to", b"sender", b"return-path"):
        for name, value in root.fields:
            if name.lower() == wanted and (found := _first_address(raw_text(value))):
                return found
    return Address(address="")


def _first_address(text: str) -> Address | None:
    addresses = parse_addresses(text).addresses
    if addresses:
        return addresses[0]
    text = decode_words(text)
    match = _LOOSE.search(text[:1000])
    if match is not None:
        return Address(name=text[: match.start()].strip(_AROUND), address=match[1])
    # A user alone is an address of the machine that sent it: ``Cron <root>``.
    match = _LOCAL.match(text)
    if match is None:
        return None
    name = match["name"] or match["comment"] or ""
    return Address(name=name.strip(), address=match["angle"] or match["bare"])


def _attachment(reader: PartReader, part: Part) -> dict[str, Any]:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in reader.read(part.path):
        digest.update(chunk)
    return {
        "filename": part.declared or part.filename,
        "content_type": part.content_type,
        "size": part.size,
        "md5": digest.hexdigest(),
    }


def _is_called_spam(mail: Mail) -> bool:
    return any(
        field.value.lower().startswith(SPAM[field.name.lower()])
        for field in mail.headers
        if field.name.lower() in SPAM
    )


def _no_mail(mail: Mail) -> list[str]:
    return [] if mail.headers or not mail.size else ["no header field: this is no mail"]
