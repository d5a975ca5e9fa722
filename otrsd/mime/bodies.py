"""The parts of a mail: which are its text, which are listed, and what they are called.

In: the scan of a mail. Out: the list of parts, and the readable text: plain, or
made from HTML where that has no plain twin. What is shown is decided here: text and
HTML without a name; where a mail has none, the first text that has one. Listed are
also the attachments of messages within, and the files in a winmail.dat or written
into a text. Nothing fails; what does not fit the limits is noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from otrsd.mime.calendar import calendar_text
from otrsd.mime.charset import codec_of, decode
from otrsd.mime.embedded import has_mark
from otrsd.mime.fields import decode_words, parameters, raw_text
from otrsd.mime.filename import clean_filename, distinct
from otrsd.mime.htmltext import enriched_to_text, html_to_text
from otrsd.mime.limits import HTML_OCTETS, OPENED_OCTETS, PARTS, TEXT_OCTETS
from otrsd.mime.opened import Opened
from otrsd.mime.parts import is_tnef, open_part
from otrsd.mime.scan import ENCLOSING, Entity, Scan, leaves
from otrsd.mime.transfer import decode_transfer, is_known
from otrsd.model.mail import Part

_PLAIN = ("text/plain", "text/markdown")
_ENRICHED = ("text/enriched", "text/richtext")
_READABLE = frozenset((*_PLAIN, *_ENRICHED, "text/html"))
_IDENTITY = ("", "7bit", "8bit", "binary")
_QUOTED_PAIR = re.compile(r"\\(.)")
_META = re.compile(rb"<meta[^>]{1,200}?charset=[\"']?([\w-]{1,40})", re.IGNORECASE)
#: Octets of HTML in which it may name its charset (the HTML standard's own figure).
_META_OCTETS = 1024


@dataclass(slots=True)
class Bodies:
    """What has been read of a mail's parts."""

    parts: list[Part] = field(default_factory=list)
    #: The readable text, piece by piece.
    text: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)


def read_bodies(found: Scan) -> Bodies:
    """Return the parts and texts of a mail."""
    return _Reader(found).read()


class _Reader:
    """Goes through the leaves of one mail."""

    def __init__(self, found: Scan) -> None:
        self._content = found.content
        self._found = found
        self._out = Bodies()
        self._taken: set[str] = set()
        self._text_room, self._html_room = TEXT_OCTETS, HTML_OCTETS

    def read(self) -> Bodies:
        """Return what was read."""
        entities = leaves(self._found.root)
        twins = _html_twins(self._content, self._found.root)
        shown = _shown(entities)
        for entity in entities:
            is_shown = id(entity) in shown
            self._list(entity, is_shown=is_shown)
            if is_shown:
                self._read_text(entity, twin=id(entity) in twins)
            elif entity.content_type == "text/calendar":
                self._read_calendar(entity)
            elif is_tnef(entity):
                self._open(entity)
            elif entity.children:
                self._read_enclosed(entity)
        return self._out

    def _list(self, entity: Entity, *, is_shown: bool, within: str = "") -> None:
        name, declared = _names(entity)
        kind = entity.content_type
        if not is_known(entity.encoding):
            self._found.note("an unknown Content-Transfer-Encoding: read as it is")
        if kind.startswith("multipart/") and not is_shown:
            name = name or "body.bin"
        elif not name and entity.children:
            name = _subject_name(entity.children[0])
        raw_id = entity.first(b"content-id")
        part = Part(
            path=entity.path or "1",
            content_type=kind,
            filename=distinct(name, self._taken) if name else "",
            declared=declared,
            size=self._size(entity),
            content_id=raw_text(raw_id).strip("<> ") if raw_id else "",
            is_attachment=not is_shown or bool(declared),
            within=within,
        )
        self._out.parts.append(part)

    def _read_enclosed(self, message: Entity) -> None:
        """List the attachments of a message within."""
        for entity in _leaves_within(message):
            if entity.path == message.path:
                # All of it is one part that can't be taken apart.
                continue
            name, _ = _names(entity)
            if name or entity.children or entity.content_type not in _READABLE:
                self._list(entity, is_shown=False, within=message.path or "1")

    def _open(self, entity: Entity) -> bytes:
        """List what is in a part; return the text that is left of it."""
        path = entity.path or "1"
        if entity.end - entity.start > OPENED_OCTETS:
            self._found.note("a part is too large to be opened")
            return b""
        rest, files = open_part(self._content, entity)
        room = PARTS - len(self._out.parts)
        if len(files) > room:
            self._found.note(f"more than {PARTS} parts: the rest was not read")
        if is_tnef(entity) and not files:
            self._found.note("a winmail.dat could not be opened")
        for number, one in enumerate(files[: max(room, 0)], 1):
            self._list_opened(one, f"{path}~{number}", path)
        return rest

    def _list_opened(self, one: Opened, path: str, within: str) -> None:
        name = clean_filename(one.name)
        part = Part(
            path=path,
            content_type=one.content_type,
            filename=distinct(name, self._taken) if name else "",
            declared=one.name,
            size=len(one.octets),
            is_attachment=not one.is_body,
            within=within,
        )
        self._out.parts.append(part)
        if one.is_body and not any(self._out.text):
            html = one.content_type == "text/html"
            self._add(one.octets, "", html=html, twin=False)

    def _decoded(self, entity: Entity) -> Iterator[bytes]:
        return decode_transfer(self._content, entity.start, entity.end, entity.encoding)

    def _size(self, entity: Entity) -> int:
        if entity.encoding in _IDENTITY:
            return entity.end - entity.start
        return sum(map(len, self._decoded(entity)))

    def _read_text(self, entity: Entity, *, twin: bool) -> None:
        charset = entity.parameters.get("charset", "")
        html = entity.content_type == "text/html"
        if charset and not codec_of(charset, html=html):
            self._found.note("an unknown charset: guessed")
        octets = self._octets(entity, self._html_room if html else self._text_room)
        if entity.content_type in _ENRICHED:
            if not twin:
                self._out.text.append(enriched_to_text(decode(octets, charset)))
            return
        if not html and has_mark(octets):
            octets = self._open(entity)[: self._text_room] or octets
        self._add(octets, charset, html=html, twin=twin)

    def _add(self, octets: bytes, charset: str, *, html: bool, twin: bool) -> None:
        if not html:
            self._text_room -= len(octets)
            self._out.text.append(decode(octets, charset).replace("\r\n", "\n"))
            return
        self._html_room -= len(octets)
        if not charset and (meta := _META.search(octets[:_META_OCTETS])):
            charset = meta[1].decode("ascii", "replace")
        source = decode(octets, charset, html=True)
        self._out.html.append(source)
        if not twin:
            self._out.text.append(html_to_text(source))

    def _read_calendar(self, entity: Entity) -> None:
        octets = self._octets(entity, self._text_room)
        charset = entity.parameters.get("charset", "")
        if text := calendar_text(decode(octets, charset)):
            self._out.text.append(text)

    def _octets(self, entity: Entity, room: int) -> bytes:
        out = bytearray()
        for chunk in self._decoded(entity):
            out += chunk
            if len(out) > room:
                self._found.note("the text is over the limit: only its start is kept")
                break
        return bytes(out[:room])


def _shown(entities: list[Entity]) -> set[int]:
    """Return the leaves that are the text of the mail."""
    texts = [e for e in entities if e.content_type in _READABLE]
    plain = [e for e in texts if not _is_attached(e) and not any(_names(e))]
    if plain:
        return {id(e) for e in plain}
    # A mail that is nothing but a named or attached text shows it all the same.
    named = [e for e in texts if not _is_attached(e)]
    named = named or [e for e in texts if not any(_names(e))]
    return {id(e) for e in named[:1]}


def _is_attached(entity: Entity) -> bool:
    raw = entity.first(b"content-disposition")
    return raw is not None and raw_text(raw).lower().startswith("attachment")


def _names(entity: Entity) -> tuple[str, str]:
    """Return a part's name as it may be saved under, and as it was written."""
    raw = entity.first(b"content-disposition")
    named = parameters(raw_text(raw))[1] if raw else {}
    name = named.get("filename") or entity.parameters.get("name", "")
    if not name:
        return "", ""
    name = decode_words(name)
    # In a quoted string a backslash only quotes (RFC 2045 §5.1), but whoever writes
    # a path of Windows means the backslash.
    return clean_filename(name), _QUOTED_PAIR.sub(r"\1", name)


def _subject_name(message: Entity) -> str:
    subject = raw_text(message.first(b"subject") or b"")
    name = clean_filename(decode_words(subject[:1000]).replace("/", "-"))
    return f"{name[:100]}.eml" if name else "message.eml"


def _leaves_within(message: Entity) -> list[Entity]:
    """Return the leaves of a message within, and of those within that one."""
    out: list[Entity] = []
    waiting = list(reversed(message.children))
    while waiting:
        entity = waiting.pop()
        if not entity.children or entity.content_type in ENCLOSING:
            out.append(entity)
        waiting.extend(reversed(entity.children))
    return out


def _html_twins(content: bytes, root: Entity) -> set[int]:
    """Return the HTML parts that stand beside a plain one (RFC 2046 §5.1.4).

    A plain part without any text is none.
    """
    twins: set[int] = set()
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if not entity.children or entity.content_type in ENCLOSING:
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
            twins.update(id(x) for x in below if x.content_type != "text/plain")
    return twins
