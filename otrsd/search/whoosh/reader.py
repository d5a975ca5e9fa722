"""Reading a Whoosh index: open segments, and which documents have a word.

Whoosh's matchers walk hit by hit in Python, and score. We want sets: they are made
list by list and joined by the interpreter's own set operations, some twenty times
quicker.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from heapq import nlargest
from typing import Any

from otrsd.search.analyzer import Analyzer
from otrsd.search.backend import Beginning, Part, Words
from otrsd.search.whoosh.codec import (
    DamagedError,
    PackedCodec,
    PackedSegment,
)
from otrsd.search.whoosh.sections import LAST_PLACES, RANGES

#: A beginning stands for so many words at most, the most frequent ones.
MOST_WORDS = 64


def read_column(storage: Any, segment: PackedSegment, name: str) -> array[int]:
    """Return a column of numbers, one per document."""
    file = storage.open_file(PackedCodec.column_filename(segment, name))
    try:
        octets = file.get(0, 8 * segment.doc_count_all())
    finally:
        file.close()
    numbers = array("Q")
    numbers.frombytes(octets)
    if len(numbers) != segment.doc_count_all():
        raise DamagedError(f"the column {name} of {segment.segment_id()} is short")
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


class OpenSegment:
    """One segment, open for reading; its files never change."""

    def __init__(self, storage: Any, segment: PackedSegment) -> None:
        self._storage = storage
        self._segment = segment
        self.terms = PackedCodec().terms_reader(storage, segment)

    @cached_property
    def articles(self) -> array[int]:
        """Return the article id of each document."""
        return read_column(self._storage, self._segment, "article")

    @cached_property
    def tickets(self) -> array[int]:
        """Return the ticket id of each document."""
        return read_column(self._storage, self._segment, "ticket")

    def close(self) -> None:
        """Close the files."""
        self.terms.close()


class Asking:
    """One search over one segment."""

    def __init__(
        self, segment: OpenSegment, analyzer: Analyzer, note: Callable[[str], None]
    ) -> None:
        self._terms = segment.terms
        self._analyzer = analyzer
        self._note = note

    def documents(self, wanted: Words | Beginning) -> set[int]:
        """Return the numbers of the documents that have it."""
        if isinstance(wanted, Words):
            return self._words(wanted)
        return self._beginning(wanted)

    def _words(self, wanted: Words) -> set[int]:
        words = self._analyzer.words(wanted.text)
        if not words:
            self._note(f"{wanted.text!r} has neither letters nor digits: no word")
            return set()
        if len(words) > 1:
            return self._side_by_side(self._exactly(words), wanted.part)
        if wanted.exact:
            lists = self._exactly(words)
        else:
            start = self._analyzer.group(words[0])
            lists = [
                self._terms.list_of(row)
                for _, _, row in self._terms.beginning_with(start)
            ]
        return _documents(lists, wanted.part)

    def _beginning(self, wanted: Beginning) -> set[int]:
        words = self._analyzer.words(wanted.text)
        if not words:
            self._note(f"{wanted.text!r} has neither letters nor digits: no word")
            return set()
        rows = [
            (count, row)
            for start in self._analyzer.prefixes(words[-1])
            for _, count, row in self._terms.beginning_with(start)
        ]
        if len(rows) > MOST_WORDS:
            self._note(
                f"{wanted.text}* stands for more than {MOST_WORDS} words: only the"
                " most frequent ones were looked for; type more letters"
            )
            rows = nlargest(MOST_WORDS, rows)
        ends = array("I")
        for _, row in rows:
            ends += self._terms.list_of(row)
        return self._side_by_side([*self._exactly(words[:-1]), ends], wanted.part)

    def _exactly(self, words: Sequence[str]) -> list[array[int]]:
        return [self._terms.postings(self._analyzer.term(word)) for word in words]

    def _side_by_side(self, lists: Sequence[array[int]], part: Part) -> set[int]:
        """Return the documents in which the words follow one another."""
        inside = [_within(places, part) for places in lists]
        if not all(inside):
            return set()
        starts = set(inside[0])
        for distance, places in enumerate(inside[1:], 1):
            starts &= {place - distance for place in places}
        found = {place >> 16 for place in starts}
        if len(inside) > 1:
            found |= set.intersection(*map(_at_a_last_place, inside))
        return found


def _at_a_last_place(places: Iterable[int]) -> set[int]:
    return {place >> 16 for place in places if place & 0xFFFF in LAST_PLACES}


def _within(places: array[int], part: Part) -> array[int] | list[int]:
    if part is Part.ANYWHERE:
        return places
    first, last = RANGES[part]
    return [place for place in places if first <= place & 0xFFFF <= last]


def _documents(lists: Iterable[array[int]], part: Part) -> set[int]:
    return {place >> 16 for places in lists for place in _within(places, part)}
