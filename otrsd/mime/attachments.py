"""The words of one attachment: PDF, Office and text files, messages → text.

This opens what a stranger has made: it is called in the extractor only
(:mod:`otrsd.relay.extractor`), a process that may be killed at any moment, and bounds
what it reads besides. Out: at most ``PART_CHARACTERS``. Fails with
:class:`NoWordsError`, whose text is for a person, or with whatever a library raises.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from otrsd.mime.charset import decode
from otrsd.mime.htmltext import html_to_text
from otrsd.mime.parse import parse
from otrsd.mime.words import (
    PAGES,
    PART_CHARACTERS,
    PART_OCTETS,
    UNPACKED_OCTETS,
    ZIP_FILES,
)

_CHUNK = 64 * 1024
#: Kind → the members of the zip file with text, and the elements that hold it
#: (empty: all of them).
_MEMBERS: Mapping[str, tuple[re.Pattern[str], frozenset[str]]] = {
    "docx": (
        re.compile(r"word/(document|(foot|end)notes|comments|(head|foot)er\d*)\.xml"),
        frozenset(("t",)),
    ),
    "xlsx": (
        re.compile(r"xl/(sharedStrings|comments\d*|worksheets/sheet\d+)\.xml"),
        frozenset(("t",)),
    ),
    "pptx": (
        re.compile(r"ppt/(slides/slide|notesSlides/notesSlide)\d+\.xml"),
        frozenset(("t",)),
    ),
    "odt": (re.compile(r"content\.xml"), frozenset()),
}
#: Elements behind which a new line, or at least a new word, begins.
_LINES = frozenset(("p", "h", "br", "tr", "row", "si", "line-break", "table-row"))
_GAPS = frozenset(("tab", "s", "tc", "table-cell", "list-item"))


class NoWordsError(Exception):
    """Why a part has no words for us."""


def words_of(kind: str, octets: bytes) -> str:
    """Return the text of an attachment."""
    if len(octets) > PART_OCTETS:
        raise NoWordsError(f"more than {PART_OCTETS >> 20} MiB")
    return _READERS[kind](octets)[:PART_CHARACTERS].replace("\0", " ")


def _text(octets: bytes) -> str:
    return decode(octets[: 4 * PART_CHARACTERS]).replace("\r\n", "\n")


def _html(octets: bytes) -> str:
    return html_to_text(decode(octets[: 4 * PART_CHARACTERS], html=True))


def _message(octets: bytes) -> str:
    """Return header and text of a message; what it encloses is a part of its own."""
    mail = parse(octets)
    people = (mail.header(name) or "" for name in ("from", "to", "cc"))
    return "\n".join((mail.subject, *people, mail.text))


def _pdf(octets: bytes) -> str:
    import pypdf  # noqa: PLC0415 - the extractor alone pays for it

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = pypdf.PdfReader(io.BytesIO(octets))
    if reader.is_encrypted and not reader.decrypt(""):
        raise NoWordsError("protected by a password")
    found: list[str] = []
    room = PART_CHARACTERS
    for page, _ in zip(reader.pages, range(PAGES), strict=False):
        found.append(page.extract_text())
        room -= len(found[-1])
        if room <= 0:
            break
    return "\n".join(found)


@dataclass(slots=True)
class _Collector:
    """The text of XML elements as a parser meets them."""

    wanted: frozenset[str]
    found: list[str] = field(default_factory=list)
    room: int = PART_CHARACTERS
    #: How deep we are in an element that holds text.
    inside: int = 0

    def start(self, name: str, _attributes: object) -> None:
        self.inside += _local(name) in self.wanted
        if _local(name) in _GAPS:
            self.found.append(" ")

    def end(self, name: str) -> None:
        self.inside -= _local(name) in self.wanted
        if _local(name) in _LINES:
            self.found.append("\n")

    def text(self, text: str) -> None:
        if self.inside or not self.wanted:
            self.found.append(text)
            self.room -= len(text)

    def doctype(self, *_: object) -> None:
        raise NoWordsError("an XML with a DTD")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _zipped(kind: str) -> Callable[[bytes], str]:
    pattern, wanted = _MEMBERS[kind]

    def read(octets: bytes) -> str:
        collector = _Collector(wanted)
        left = UNPACKED_OCTETS
        for chunks in _members(octets, pattern):
            parser = expat.ParserCreate()
            parser.buffer_text = True
            parser.StartDoctypeDeclHandler = collector.doctype
            parser.StartElementHandler = collector.start
            parser.EndElementHandler = collector.end
            parser.CharacterDataHandler = collector.text
            for chunk in chunks:
                parser.Parse(chunk)
                left -= len(chunk)
                if left < 0:
                    raise NoWordsError(f"more than {UNPACKED_OCTETS >> 20} MiB in it")
                if collector.room <= 0:
                    return "".join(collector.found)
            parser.Parse(b"", True)  # noqa: FBT003 - expat's own signature
        return "".join(collector.found)

    return read


def _members(octets: bytes, pattern: re.Pattern[str]) -> Iterator[Iterator[bytes]]:
    """Give the octets of each member that is called so, in chunks."""
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        names = archive.namelist()
        if len(names) > ZIP_FILES:
            raise NoWordsError(f"more than {ZIP_FILES:,} files in it")
        wanted = [name for name in dict.fromkeys(names) if pattern.fullmatch(name)]
        if not wanted:
            raise NoWordsError("not the document that its name says")
        for name in sorted(wanted):
            with archive.open(name) as member:
                yield iter(lambda: member.read(_CHUNK), b"")


_READERS: Mapping[str, Callable[[bytes], str]] = {
    "text": _text,
    "html": _html,
    "message": _message,
    "pdf": _pdf,
    **{kind: _zipped(kind) for kind in _MEMBERS},
}
