"""Octets → Mail.

In: the content as it came (RFC 5322, RFC 2045-2049; LF or CRLF, perhaps an mbox
``From `` line first). Out: a :class:`~otrsd.model.mail.Mail`; parsing never raises.
Whatever is wrong is noted in ``defects``; a structure on which no two programs would
agree sets ``hostile``. Memory beyond the content is bounded by the limits, not by
the size of the mail.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from otrsd.mime.address import AddressList, parse_addresses
from otrsd.mime.bodies import Bodies, read_bodies
from otrsd.mime.charset import decode
from otrsd.mime.fields import decode_words, raw_text
from otrsd.mime.limits import (
    CHUNK_OCTETS,
    MESSAGE_ID_OCTETS,
    REFERENCES,
    SUBJECT_CHARACTERS,
    TEXT_OCTETS,
)
from otrsd.mime.scan import Scan, scan
from otrsd.model.mail import Address, HeaderField, Mail

_MESSAGE_ID = re.compile(r"<[^<>\s\[\]]+(?:\[[^<>\s\[\]]*\])?>")
_ONCE = frozenset(
    (
        "from",
        "sender",
        "reply-to",
        "to",
        "cc",
        "date",
        "subject",
        "message-id",
        "in-reply-to",
        "references",
        "content-type",
        "content-transfer-encoding",
    )
)
#: Fields that are believed where our MTA has written them. It repeats what a sender
#: chose (a local part, an EHLO name), and RFC 2047 §5 allows no encoded word there.
_LITERAL = frozenset(("authentication-results", "received", "received-spf"))


def parse(content: bytes) -> Mail:
    """Return ``content`` as a mail."""
    try:
        return _Reader(content, scan(content)).mail()
    except Exception as error:  # noqa: BLE001 - a mail is never lost to a parser's bug
        return Mail(
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            text=decode(content[:TEXT_OCTETS]),
            defects=(f"the mail could not be parsed: {type(error).__name__}",),
        )


class _Reader:
    """Makes one mail of one scan."""

    def __init__(self, content: bytes, found: Scan) -> None:
        self._content = content
        self._found = found
        self._root = found.root
        self._headers: list[HeaderField] = []
        #: The first field of each name, raw and unfolded: the one that counts.
        self._first: dict[str, str] = {}

    def mail(self) -> Mail:
        """Return the mail."""
        self._read_headers()
        author = self._addresses("from")
        message_id = self._message_id()
        subject = decode_words(self._first.get("subject", ""))
        bodies = self._bodies()
        content = self._content
        return Mail(
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            headers=tuple(self._headers),
            message_id=message_id,
            subject=" ".join(subject.split())[:SUBJECT_CHARACTERS],
            author=author.identity,
            from_text=decode_words(self._first.get("from", "")),
            sender=self._addresses("sender").identity,
            reply_to=self._list("reply-to"),
            to=self._list("to"),
            cc=self._list("cc"),
            references=self._references(message_id),
            date=_date(self._first.get("date", "")),
            text=self._text(bodies),
            html="".join(bodies.html),
            parts=tuple(bodies.parts),
            defects=tuple(self._found.defects),
            hostile=self._found.hostile,
            dedup_key=self._dedup_key(message_id),
        )

    def _bodies(self) -> Bodies:
        """Read the parts; whatever happens there, the header has been read."""
        try:
            return read_bodies(self._found)
        except Exception as error:  # noqa: BLE001 - as in parse()
            self._found.note(f"the parts could not be read: {type(error).__name__}")
            start = self._root.start
            return Bodies(
                text=[decode(self._found.content[start : start + TEXT_OCTETS])]
            )

    def _text(self, bodies: Bodies) -> str:
        text = "\n".join(t for t in bodies.text if t)
        if not text and self._found.hostile:
            # The raw text is all that a person can judge such a mail by.
            return decode(self._content[:TEXT_OCTETS])
        return text[:TEXT_OCTETS]

    def _read_headers(self) -> None:
        first = self._first
        charset = self._root.parameters.get("charset", "")
        for raw_name, raw_value in self._root.fields:
            name = raw_name.decode("ascii")
            value = raw_text(raw_value, charset)
            lower = name.lower()
            if lower not in first:
                first[lower] = value
            elif lower in _ONCE:
                self._found.note(f"more than one {name[:60]} field: the first counts")
            if lower not in _LITERAL:
                value = decode_words(value)
            self._headers.append(HeaderField(name=name, value=value))

    def _addresses(self, name: str) -> AddressList:
        text = self._first.get(name)
        if not text:
            return AddressList()
        read = parse_addresses(text)
        for defect in read.defects:
            self._found.note(f"{name.capitalize()}: {defect}")
        return read

    def _list(self, name: str) -> tuple[Address, ...]:
        return tuple(self._addresses(name).addresses)

    def _message_id(self) -> str:
        match = _MESSAGE_ID.search(self._first.get("message-id", "")[:4096])
        if match is not None and len(match[0]) <= MESSAGE_ID_OCTETS:
            return match[0]
        if "message-id" in self._first:
            self._found.note("the Message-ID is not usable")
        return ""

    def _references(self, own: str) -> tuple[str, ...]:
        nearest = _MESSAGE_ID.findall(self._first.get("in-reply-to", ""))
        nearest += reversed(_MESSAGE_ID.findall(self._first.get("references", "")))
        usable = dict.fromkeys(i for i in nearest if len(i) <= MESSAGE_ID_OCTETS)
        usable.pop(own, None)
        return tuple(usable)[:REFERENCES]

    def _dedup_key(self, message_id: str) -> str:
        if not message_id:
            return ""
        digest = hashlib.sha256()
        for value in (message_id, *map(self._word, ("from", "date", "subject"))):
            digest.update(value.encode() + b"\0")
        content, at, end = self._found.content, self._root.start, self._root.end
        # A copy by pipe may have one line end more than one by SMTP.
        while end > at and content[end - 1] in b"\r\n":
            end -= 1
        while at < end:
            stop = min(at + CHUNK_OCTETS, end)
            if stop < end and content[stop - 1] == ord("\r"):
                stop += 1
            digest.update(content[at:stop].replace(b"\r\n", b"\n"))
            at = stop
        return digest.hexdigest()

    def _word(self, name: str) -> str:
        return " ".join(self._first.get(name, "").split())


def _date(text: str) -> datetime | None:
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text[:200])
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
