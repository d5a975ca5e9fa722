"""Writing to a Whoosh index: a batch of documents, deletions, merges; one commit.

A commit writes one new segment and then the table of contents that names it; the
rename of that table is the commit. Everything is synced before, and the table
ends with its own crc32: a power cut leaves the old index or the new one, and
where it does not, the damage shows.
"""

from __future__ import annotations

import heapq
import os
import struct
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from whoosh.filedb.filestore import RamStorage
from whoosh.index import TOC, clean_files
from whoosh.writing import SegmentWriter

from otrsd.search.analyzer import Analyzer
from otrsd.search.backend import Document
from otrsd.search.whoosh.codec import (
    MOST_DOCUMENTS,
    PackedCodec,
    PackedSegment,
    PackedTermsReader,
)
from otrsd.search.whoosh.reader import read_column
from otrsd.search.whoosh.sections import SECTIONS

#: Behind the table of contents: a mark, and the crc32 of all before it.
TRAILER = struct.Struct("!4sI")
MARK = b"otrs"

Lists = Iterator[tuple[bytes, "array[int]"]]


class BatchWriter(SegmentWriter):
    """One commit; either ``add`` or ``join`` is called, at most once."""

    def __init__(self, index: Any) -> None:
        super().__init__(index, codec=PackedCodec(), compound=False, timeout=0)
        self._lists: Iterable[tuple[bytes, array[int]]] = ()
        self._articles: list[int] = []
        self._gone: set[str] = set()

    def add(self, documents: Sequence[Document], analyzer: Analyzer) -> None:
        """Add documents as a new segment; at most ``MOST_DOCUMENTS``."""
        words: defaultdict[str, list[int]] = defaultdict(list)
        for number, document in enumerate(documents):
            self._add_numbers(document.article_id, document.ticket_id)
            _collect(words, number << 16, document, analyzer.words)
        self._lists = _by_term(words, analyzer.term)

    def delete(self, article_ids: Collection[int]) -> None:
        """Mark the documents of these articles as deleted."""
        if not article_ids:
            return
        least, most = min(article_ids), max(article_ids)
        for segment in self.segments:
            if segment.last < least or segment.first > most:
                continue
            column = read_column(self.storage, segment, "article")
            for number, article_id in enumerate(column):
                if article_id in article_ids and not segment.is_deleted(number):
                    segment.delete_document(number)

    def join(self, segments: Sequence[PackedSegment]) -> None:
        """Join these segments into a new one; deleted documents vanish."""
        runs = []
        for run, segment in enumerate(segments):
            moved = self._move(segment)
            terms = PackedCodec().terms_reader(self.storage, segment)
            runs.append(_moved(terms, moved, run))
            self._gone.add(segment.segment_id())
        self._lists = _joined(runs)

    def save(self) -> None:
        """Commit."""
        self.commit(mergetype=lambda _writer, segments: self._kept(segments))

    def _kept(self, segments: Sequence[PackedSegment]) -> list[PackedSegment]:
        return [
            segment
            for segment in segments
            if segment.segment_id() not in self._gone and segment.doc_count()
        ]

    def _add_numbers(self, article_id: int, ticket_id: int) -> None:
        writer = self.perdocwriter
        writer.start_doc(self.docnum)
        columns = self.schema
        writer.add_column_value("article", columns["article"].column_type, article_id)
        writer.add_column_value("ticket", columns["ticket"].column_type, ticket_id)
        writer.finish_doc()
        self._articles.append(article_id)
        self.docnum += 1
        self._added = True

    def _move(self, segment: PackedSegment) -> Callable[[array[int]], array[int]]:
        """Copy a segment's columns; return how its lists change."""
        articles = read_column(self.storage, segment, "article")
        tickets = read_column(self.storage, segment, "ticket")
        first = self.docnum
        if not segment.has_deletions():
            for article_id, ticket_id in zip(articles, tickets, strict=True):
                self._add_numbers(article_id, ticket_id)
            step = first << 16
            return lambda old: array("I", [each + step for each in old])
        places: dict[int, int] = {}
        for number, article_id in enumerate(articles):
            if not segment.is_deleted(number):
                places[number] = self.docnum << 16
                self._add_numbers(article_id, tickets[number])
        return lambda old: array(
            "I",
            [
                places[each >> 16] | (each & 0xFFFF)
                for each in old
                if each >> 16 in places
            ],
        )

    def _flush_segment(self) -> None:
        """Write the lists (Whoosh would sort its pool of postings here)."""
        self.perdocwriter.close()
        self.fieldwriter.add_lists(self._lists)
        self.fieldwriter.close()
        segment = self.newsegment
        segment.first, segment.last = min(self._articles), max(self._articles)
        segment.sums = {
            name: _sealed(Path(self.storage.folder, name))
            for name in segment.list_files(self.storage)
        }

    def _commit_toc(self, segments: Sequence[PackedSegment]) -> None:
        memory = RamStorage()
        toc = TOC(self.schema, list(segments), self.generation)
        toc.write(memory, self.indexname)
        name = TOC._filename(self.indexname, self.generation)  # noqa: SLF001 - Whoosh has no other way
        octets = memory.files[name]
        octets += TRAILER.pack(MARK, zlib.crc32(octets))
        folder = Path(self.storage.folder)
        new = folder / f"{name}.new"
        with new.open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        new.rename(folder / name)
        sync_folder(folder)
        clean_files(self.storage, self.indexname, self.generation, segments)


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sealed(path: Path) -> tuple[int, int]:
    """Sync a finished file; return its size and crc32."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        size = crc = 0
        while piece := file.read(1 << 20):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
    return size, crc


def _collect(
    words: defaultdict[str, list[int]],
    base: int,
    document: Document,
    cut: Callable[[str], list[str]],
) -> None:
    """Append each word's place to the word's list."""
    for section in SECTIONS:
        text = getattr(document, section.attribute)
        if not text:
            continue
        found = cut(text)
        room = section.last - section.first
        for place, word in enumerate(found[:room], base + section.first):
            words[word].append(place)
        # What has no place of its own stands at the last one, once.
        for word in dict.fromkeys(found[room:]):
            words[word].append(base + section.last)


def _by_term(words: defaultdict[str, list[int]], term: Callable[[str], bytes]) -> Lists:
    """Yield terms in order; words that fold to one term are joined."""
    terms: dict[bytes, list[int]] = {}
    for word, places in words.items():
        key = term(word)
        if key in terms:
            terms[key] = sorted({*terms[key], *places})
        else:
            terms[key] = places
    words.clear()
    for key in sorted(terms):
        yield key, array("I", terms[key])


def _moved(
    terms: PackedTermsReader, moved: Callable[[array[int]], array[int]], run: int
) -> Iterator[tuple[bytes, int, array[int]]]:
    for term, places in terms.lists():
        yield term, run, moved(places)
    terms.close()


def _joined(runs: Sequence[Iterator[tuple[bytes, int, array[int]]]]) -> Lists:
    """Yield each term once, with the lists of all runs in their order."""
    last = b""
    joined = array("I")
    for term, _, places in heapq.merge(*runs):
        if term != last:
            if joined:
                yield last, joined
            last, joined = term, array("I")
        joined += places
    if joined:
        yield last, joined


#: From so many segments of one size class on, they are joined.
_FAN = 10
#: Sizes, in documents, below which segments are of one class.
_CLASSES = (4, 32, 256, 2_000, 16_000, MOST_DOCUMENTS + 1)
#: A commit under load joins no more documents than this.
SMALL = 2_000


def choose_merge(
    segments: Sequence[PackedSegment], most: int
) -> Sequence[PackedSegment]:
    """Return segments to join, at most ``most`` documents; none: nothing to do."""
    classes: defaultdict[int, list[PackedSegment]] = defaultdict(list)
    for segment in segments:
        count = segment.doc_count()
        classes[next(n for n, limit in enumerate(_CLASSES) if count < limit)].append(
            segment
        )
    for number in sorted(classes):
        chosen = _fitting(classes[number], most)
        if len(classes[number]) >= _FAN and len(chosen) > 1:
            return chosen
    return ()


def _fitting(segments: list[PackedSegment], most: int) -> list[PackedSegment]:
    chosen: list[PackedSegment] = []
    room = min(most, MOST_DOCUMENTS)
    for segment in sorted(segments, key=lambda each: each.first):
        if segment.doc_count() > room or len(chosen) == _FAN:
            break
        chosen.append(segment)
        room -= segment.doc_count()
    return chosen
