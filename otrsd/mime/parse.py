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
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from otrsd.mime.address import AddressList, parse_addresses
from otrsd.mime.charset import codec_of, decode
from otrsd.mime.fields import decode_words, parameters, raw_text
from otrsd.mime.filename import clean_filename, distinct
from otrsd.mime.htmltext import html_to_text
from otrsd.mime.limits import (
    CHUNK_OCTETS,
    HTML_OCTETS,
    MESSAGE_ID_OCTETS,
    REFERENCES,
    SUBJECT_CHARACTERS,
    TEXT_OCTETS,
)
from otrsd.mime.scan import Entity, Scan, leaves, scan
from otrsd.mime.transfer import decode_transfer, is_known
from otrsd.model.mail import Address, HeaderField, Mail, Part

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


@dataclass(slots=True)
class _Body:
    """The texts of the body parts, as they are met."""

    text: list[str] = field(default_factory=list)
    #: Text made from HTML where it has no plain twin.
    html: list[str] = field(default_factory=list)
    text_room: int = TEXT_OCTETS
    html_room: int = HTML_OCTETS


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
        body = _Body()
        parts = self._read_parts(body)
        html = "".join(body.html)
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
            text=self._text(body),
            html=html,
            parts=parts,
            defects=tuple(self._found.defects),
            hostile=self._found.hostile,
            dedup_key=self._dedup_key(message_id),
        )

    def _text(self, body: _Body) -> str:
        text = "\n".join(t for t in body.text if t)
        if not text and self._found.hostile:
            # The raw text is all that a person can judge such a mail by.
            return decode(self._content[:TEXT_OCTETS])
        return text[:TEXT_OCTETS]

    def _read_headers(self) -> None:
        first = self._first
        for raw_name, raw_value in self._root.fields:
            name = raw_name.decode("ascii")
            value = raw_text(raw_value)
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

    def _read_parts(self, body: _Body) -> tuple[Part, ...]:
        parts: list[Part] = []
        taken: set[str] = set()
        entities = leaves(self._root)
        twins = _html_twins(self._content, self._root)
        for entity in entities:
            part = self._part(entity, taken, alone=len(entities) == 1)
            parts.append(part)
            if not part.is_attachment:
                self._read_body(entity, body, twin=id(entity) in twins)
        return tuple(parts)

    def _part(self, entity: Entity, taken: set[str], *, alone: bool) -> Part:
        disposition, filename = _filename(entity)
        kind = entity.content_type
        if not is_known(entity.encoding):
            self._found.note("an unknown Content-Transfer-Encoding: read as it is")
        readable = kind in ("text/plain", "text/html")
        is_text = readable and disposition != "attachment" and (alone or not filename)
        if kind.startswith("multipart/") and not is_text:
            filename = filename or "body.bin"
        raw_id = entity.first(b"content-id")
        return Part(
            path=entity.path or "1",
            content_type=kind,
            filename=distinct(filename, taken) if filename else "",
            size=self._size(entity),
            content_id=raw_text(raw_id).strip("<> ") if raw_id else "",
            is_attachment=not is_text,
        )

    def _decoded(self, entity: Entity) -> Iterator[bytes]:
        return decode_transfer(self._content, entity.start, entity.end, entity.encoding)

    def _size(self, entity: Entity) -> int:
        if entity.encoding in ("", "7bit", "8bit", "binary"):
            return entity.end - entity.start
        return sum(map(len, self._decoded(entity)))

    def _read_body(self, entity: Entity, body: _Body, *, twin: bool) -> None:
        charset = entity.parameters.get("charset", "")
        html = entity.content_type == "text/html"
        if charset and not codec_of(charset, html=html):
            self._found.note("an unknown charset: guessed")
        room = body.html_room if html else body.text_room
        octets = self._octets(entity, room)
        if not html:
            body.text_room -= len(octets)
            body.text.append(decode(octets, charset).replace("\r\n", "\n"))
            return
        body.html_room -= len(octets)
        source = decode(octets, charset, html=True)
        body.html.append(source)
        if not twin:
            body.text.append(html_to_text(source))

    def _octets(self, entity: Entity, room: int) -> bytes:
        out = bytearray()
        for chunk in self._decoded(entity):
            out += chunk
            if len(out) > room:
                self._found.note("the text is over the limit: only its start is kept")
                break
        return bytes(out[:room])

    def _dedup_key(self, message_id: str) -> str:
        if not message_id:
            return ""
        digest = hashlib.sha256()
        for value in (message_id, *map(self._word, ("from", "date", "subject"))):
            digest.update(value.encode() + b"\0")
        content, at, end = self._content, self._root.start, self._root.end
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


def _html_twins(content: bytes, root: Entity) -> set[int]:
    """Return the HTML parts that stand beside a plain one (RFC 2046 §5.1.4).

    A plain part without any text is none.
    """
    twins: set[int] = set()
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if not entity.children or entity.content_type == "message/rfc822":
            continue
        waiting.extend(entity.children)
        if entity.content_type != "multipart/alternative":
            continue
        below = leaves(entity)
        if any(
            leaf.content_type == "text/plain"
            and not content[leaf.start : min(leaf.end, leaf.start + 1000)].isspace()
            and leaf.start < leaf.end
            for leaf in below
        ):
            twins.update(id(x) for x in below if x.content_type == "text/html")
    return twins


def _filename(entity: Entity) -> tuple[str, str]:
    """Return the disposition (RFC 2183) and the cleaned name of a part."""
    raw = entity.first(b"content-disposition")
    disposition, named = parameters(raw_text(raw)) if raw else ("", {})
    name = named.get("filename") or entity.parameters.get("name", "")
    return disposition.lower(), clean_filename(decode_words(name)) if name else ""


def _date(text: str) -> datetime | None:
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text[:200])
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
