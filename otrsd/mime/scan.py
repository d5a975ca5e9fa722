"""The structure of a message, found in its octets without copying them.

In: the content. Out: a tree of :class:`Entity`, each with its raw header fields and
where its body lies; nothing fails, defects are noted. The rules are RFC 5322 §2.2
and RFC 2046 §5.1, and beyond them those of the standard library's compat32 parser,
which is not used itself: it costs 9-12 times the size of the mail, raises
RecursionError at 250 levels, and would have to agree with a second scan for large
bodies. Outer delimiters win over inner ones; only LF and CRLF end a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from otrsd.mime.fields import parameters, raw_text
from otrsd.mime.limits import (
    BOUNDARY_OCTETS,
    ENCLOSED,
    ENCLOSED_TOP,
    FALSE_DELIMITERS,
    HEADER_FIELDS,
    HEADER_OCTETS,
    NESTING,
    NESTING_TOP,
    PARTS,
)
from otrsd.mime.transfer import encoding_of

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)")
#: A line that is no field and does not end the header section either: mbox
#: separators, also quoted ones, and fields without a name.
_SKIPPED = re.compile(rb"(?:>?From |[ \t]*:)[^\n]*(?:\n|\Z)")
_BLANK = re.compile(rb"\r?\n|\r?\Z")
_HEADER_END = re.compile(rb"\n\r?(?:\n|\Z)")
_TAIL = re.compile(rb"(--)?[ \t]*\r?(?=\n|\Z)")
#: The same with words behind it, which some wrongly put there.
_WORDY_TAIL = re.compile(rb"(--)?[ \t][^\n]*(?=\n|\Z)")
_GUESS = re.compile(rb"\n--([!-~]{1,200})\r?\nContent-[A-Za-z-]+:", re.IGNORECASE)
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+(?=[\s,]|\Z)")
#: A line that is no field, with one behind it that certainly is.
_JUNK = re.compile(
    rb"[^\r\n][^\n]{0,998}\n(?=(?:From|To|Cc|Subject|Date|Received|Return-Path|Reply-To"
    rb"|Message-ID|MIME-Version|Delivered-To|Content-[a-z-]+|X-[a-z-]+):)",
    re.IGNORECASE,
)
#: A line of blanks before the first field, as some archives have it.
_INDENT = re.compile(rb"[ \t]+(?:\r?\n)?(?=[!-9;-~]+:)")
#: What an editor or a script put before a whole mail: the mark of UTF-8, blank lines.
_PREFACE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[ \t]{0,99}\r?\n){0,20}[ \t]{0,99}"
    rb"(?=From \S{1,200} [^\n]{0,60}\d:\d\d|(?:From|To|Cc|Subject|Date|Received"
    rb"|Return-Path|Reply-To|Message-ID|MIME-Version|Delivered-To|X-[a-z-]+):)",
    re.IGNORECASE,
)
_CR_ONLY = re.compile(rb"(?:From )?[!-9;-~]+:?[^\r\n]*\r[!-9;-~]+:[^\n]*\Z")
#: Types of a message within a message.
ENCLOSING = frozenset(("message/rfc822", "message/global", "message/news"))
_PLAIN_ENCODINGS = ("", "7bit", "8bit", "binary")


@dataclass(slots=True, kw_only=True, eq=False)
class Entity:
    """One node of the MIME tree: header section and body (RFC 2045 §2.4)."""

    #: Where the body lies in the content.
    start: int
    end: int
    #: Of a multipart: where the text before its first delimiter ends.
    before: int = 0
    #: IMAP's numbering; empty for the whole message.
    path: str = ""
    #: Raw header fields in order: name, value with its folds.
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    content_type: str = "text/plain"
    parameters: dict[str, str] = field(default_factory=dict)
    #: Content-Transfer-Encoding in lower case.
    encoding: str = ""
    #: Levels of multipart and of enclosed messages above this entity.
    depth: int = 0
    enclosed: int = 0
    #: It bears its enclosing message's number, as only its parts have their own.
    is_numberless: bool = False
    children: list[Entity] = field(default_factory=list)

    def first(self, name: bytes) -> bytes | None:
        """Return the raw value of the first field called ``name`` (lower case)."""
        for known, value in self.fields:
            if len(known) == len(name) and known.lower() == name:
                return value
        return None


@dataclass(slots=True, kw_only=True)
class Scan:
    """What a scan found."""

    #: The octets to which all places refer.
    content: bytes
    root: Entity
    defects: list[str] = field(default_factory=list)
    #: Why the structure is hostile; empty if it is not.
    hostile: str = ""
    #: How much of the limits is used up.
    entities: int = 0
    false_delimiters: int = 0

    def note(self, defect: str) -> None:
        """Note a defect, once."""
        if defect not in self.defects:
            self.defects.append(defect)


def scan(content: bytes) -> Scan:
    """Return the structure of ``content``."""
    hostile = ""
    if _CR_ONLY.match(content, 0, HEADER_OCTETS):
        # It is held; but who judges it must be able to read it.
        hostile = "lines end with a lone CR: programs disagree on the header"
        content = content.replace(b"\r", b"\n")
    end = len(content)
    preface = _PREFACE.match(content)
    root = Entity(start=preface.end() if preface else 0, end=end)
    found = Scan(content=content, root=root)
    if root.start:
        found.note("blanks before the header section")
    _read_header(content, root, found, "text/plain")
    _judge_line_ends(content, found)
    if root.start == end and not root.fields:
        found.note("the mail is empty")
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        _split(content, entity, found)
        if entity.is_numberless and not entity.children:
            # No part of it could be told from another: it is one itself.
            entity.path += ".1"
        waiting.extend(reversed(entity.children))
    found.hostile = found.hostile or hostile
    return found


def leaves(root: Entity) -> list[Entity]:
    """Return the leaves in order; an enclosed message is one leaf."""
    out: list[Entity] = []
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if entity.children and entity.content_type not in ENCLOSING:
            waiting.extend(reversed(entity.children))
        else:
            out.append(entity)
    return out


def find(root: Entity, path: str) -> Entity | None:
    """Return the entity at ``path``."""
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if (entity.path or "1") == path and not (
            entity.children and entity.content_type.startswith("multipart/")
        ):
            return entity
        waiting.extend(entity.children)
    return None


def _judge_line_ends(content: bytes, found: Scan) -> None:
    """Notice a header section whose end is a matter of opinion.

    RFC 5322 §2.3 forbids a CR without LF; programs differ in what they make of it.
    """
    start = found.root.start
    if content.startswith(b"\r\r\n", start):
        found.hostile = "header and body are split by CR CR LF: programs disagree there"
    elif content.count(b"\r", 0, start) != content.count(b"\r\n", 0, start):
        found.note("a lone CR in the header section")


def _read_header(content: bytes, entity: Entity, found: Scan, default: str) -> None:
    """Read the header section at ``entity.start`` and move it to the body."""
    at, end = entity.start, entity.end
    limit = min(end, at + HEADER_OCTETS)
    fields = entity.fields
    if indent := _INDENT.match(content, at, limit):
        found.note("blanks before the header section")
        at = indent.end()
    while True:
        match = _FIELD.match(content, at, limit)
        if match is None:
            match = _SKIPPED.match(content, at, limit) or (
                _JUNK.match(content, at, limit) if fields else None
            )
            if match is None:
                break
            if at or match[0][:5] != b"From ":
                found.note("a line of the header section is no header field")
        elif len(fields) == HEADER_FIELDS:
            limit = at
            break
        else:
            fields.append((match[1], match[2]))
        at = match.end()
    if limit < end and at >= limit - 1:
        found.note("the header section is over the limit: only its start was read")
        stop = _HEADER_END.search(content, max(at - 1, 0), end)
        entity.start = stop.end() if stop else end
    else:
        entity.start = _body_start(content, at, end, found)
    _read_type(entity, found, default)


def _body_start(content: bytes, at: int, end: int, found: Scan) -> int:
    blank = _BLANK.match(content, at, end)
    if blank is None:
        found.note("no blank line between header section and body")
        return at
    return blank.end()


def _read_type(entity: Entity, found: Scan, default: str) -> None:
    entity.content_type = default
    for known, value in entity.fields:
        name = known.lower()
        if name == b"content-type" and not entity.parameters:
            declared, entity.parameters = parameters(raw_text(value))
            declared = declared.strip("\"' ")
            entity.content_type = _media_type(declared.lower(), found, default)
        elif name == b"content-transfer-encoding" and not entity.encoding:
            entity.encoding = encoding_of(raw_text(value))


def _media_type(declared: str, found: Scan, default: str) -> str:
    """Return ``type/subtype``; a wrong one must not reach a browser (A07)."""
    match = _TYPE.match(declared)
    if match is None or match[0] != declared:
        found.note("a Content-Type is malformed")
    if match is not None:
        return match[0]
    # An absent type or subtype means text (RFC 2045 §5.2), as in ``text; …``.
    return default if declared in ("", "text") else "application/octet-stream"


def _split(content: bytes, entity: Entity, found: Scan) -> None:
    """Give a composite entity its children, within the limits."""
    kind = entity.content_type
    if kind.startswith("multipart/"):
        if entity.encoding not in _PLAIN_ENCODINGS:
            found.note("a multipart is said to be encoded (RFC 2045 §6.4)")
        if entity.encoding != "base64" and _may_descend(entity, found):
            _split_multipart(content, entity, found)
    elif (
        kind in ENCLOSING
        and entity.encoding in _PLAIN_ENCODINGS
        and _may_descend(entity, found)
    ):
        _enclose(content, entity, found)


def _may_descend(entity: Entity, found: Scan) -> bool:
    if entity.depth >= NESTING_TOP:
        found.hostile = f"multiparts are nested more than {NESTING_TOP} deep"
    elif entity.enclosed >= ENCLOSED_TOP:
        found.hostile = f"messages are nested more than {ENCLOSED_TOP} deep"
    elif entity.depth >= NESTING or entity.enclosed >= ENCLOSED:
        found.note("parts are nested very deep")
    if found.entities >= PARTS:
        found.note(f"more than {PARTS} parts: the rest was not read")
        return False
    return not found.hostile


def _enclose(content: bytes, entity: Entity, found: Scan) -> None:
    child = Entity(start=entity.start, end=entity.end, path=f"{entity.path or '1'}")
    child.depth, child.enclosed = entity.depth, entity.enclosed + 1
    _read_header(content, child, found, "text/plain")
    child.is_numberless = child.content_type.startswith("multipart/")
    if not child.is_numberless:
        child.path += ".1"
    entity.children = [child]
    found.entities += 1


def _split_multipart(content: bytes, entity: Entity, found: Scan) -> None:
    spans = _spans(content, entity, found)
    default = "text/plain"
    if entity.content_type == "multipart/digest":
        default = "message/rfc822"
    prefix = f"{entity.path}." if entity.path else ""
    first = _headless(entity, spans, found)
    found.entities += len(spans)
    for number, (start, end) in enumerate(spans, 1):
        child = Entity(start=start, end=end, path=f"{prefix}{number}")
        child.depth, child.enclosed = entity.depth + 1, entity.enclosed
        if number == 1 and first:
            child.fields = first
            _read_type(child, found, default)
        else:
            _read_header(content, child, found, default)
        entity.children.append(child)
    if not spans:
        # The whole body is shown if it can be text, else it is an attachment.
        entity.content_type = "text/plain"
        entity.parameters = {}
        if content.find(b"\0", entity.start, entity.end) >= 0:
            entity.content_type = "application/octet-stream"
            entity.parameters = {"name": "body.bin"}


def spans(content: bytes, entity: Entity) -> list[tuple[int, int]]:
    """Return where the parts of a multipart lie, each with its header section."""
    return _spans(content, entity, Scan(content=content, root=entity))


def _headless(
    entity: Entity, spans: list[tuple[int, int]], found: Scan
) -> list[tuple[bytes, bytes]]:
    """Return the header of a first part that ran into the multipart's own.

    Where the delimiter between the two got lost, a second Content-Type follows, and
    the body of that part stands before the first delimiter there is.
    """
    names = [name.lower() for name, _ in entity.fields]
    if names.count(b"content-type") != 2 or not spans or not entity.path:  # noqa: PLR2004
        return []
    at = len(names) - 1 - names[::-1].index(b"content-type")
    spans.insert(0, (entity.start, entity.before))
    found.note("the delimiter before a first part is missing")
    return entity.fields[at:]


def _spans(content: bytes, entity: Entity, found: Scan) -> list[tuple[int, int]]:
    """Return where the parts of a multipart lie, by its declared boundary."""
    boundary = _boundary(entity)
    places = _delimited(content, entity, found, boundary) if boundary else []
    if not places and boundary:
        places = _delimited(content, entity, found, boundary, _WORDY_TAIL)
    if not places:
        found.note("a multipart has no usable boundary")
        guess = _GUESS.search(content, max(entity.start - 1, 0), entity.end)
        if guess and guess[1] != boundary:
            places = _delimited(content, entity, found, guess[1])
    return places


def _boundary(entity: Entity) -> bytes:
    boundary = entity.parameters.get("boundary", "").rstrip()
    octets = boundary.encode(errors="replace")
    return octets if len(octets) <= BOUNDARY_OCTETS else b""


def _delimited(
    content: bytes,
    entity: Entity,
    found: Scan,
    boundary: bytes,
    ending: re.Pattern[bytes] = _TAIL,
) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    needle = b"\n--" + boundary
    # The delimiter's line break belongs to it, also to the first one: the octet
    # before a body is the LF of the blank line.
    at, opened = entity.start - 1, -1
    room = PARTS - found.entities
    while (at := content.find(needle, max(at, 0), entity.end)) >= 0:
        tail = ending.match(content, at + len(needle), entity.end)
        if tail is None:
            found.false_delimiters += 1
            if found.false_delimiters > FALSE_DELIMITERS:
                found.note("too many lines that look like delimiters")
                break
            at += len(needle)
            continue
        if opened >= 0:
            spans.append((opened, _before(content, opened, at)))
        elif not spans:
            entity.before = _before(content, entity.start, at)
        at = tail.end()
        # What follows the end is no part (RFC 2046 §5.1.1), unless it was the end of
        # an inner multipart that took the same boundary.
        opened = -1 if tail[1] else min(at + 1, entity.end)
        if len(spans) >= room:
            found.note(f"more than {PARTS} parts: the rest was not read")
            return spans
    if opened >= 0:
        found.note("a multipart has no closing delimiter")
        spans.append((opened, entity.end))
    return spans


def _before(content: bytes, opened: int, at: int) -> int:
    if content[at - 1 : at] == b"\r":
        at -= 1
    return max(opened, at)
