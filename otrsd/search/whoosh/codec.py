"""A Whoosh codec that writes whole posting lists at once.

Whoosh's own codec spends most of its time per posting: a tuple, a sort key, a
pickle, a compressor. Here a term's postings are one array of 32-bit numbers,
``document << 16 | position``, and a batch is a mapping of words to such lists; the
files keep Whoosh's form (an ordered hash of terms in ``.trm``, the lists in
``.pst``, columns in ``.col``), and Whoosh's own readers and queries read them.

A segment holds at most 65,536 documents and 65,536 positions each; words behind
the last position all stand at the last one. Each row of the term table carries
the crc32 of its list, checked whenever it is read: :class:`DamagedError`.
"""

from __future__ import annotations

import io
import mmap
import os
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from whoosh.codec.whoosh3 import (
    W3Codec,
    W3FieldWriter,
    W3Segment,
    W3TermInfo,
    W3TermsReader,
)
from whoosh.columns import NumericColumn
from whoosh.fields import FieldType, Schema
from whoosh.filedb.filestore import FileStorage
from whoosh.filedb.filetables import HashWriter, OrderedHashWriter
from whoosh.filedb.structfile import StructFile
from whoosh.formats import Format
from whoosh.matching import ListMatcher

#: The one field with words.
FIELD = "text"
#: What every term's key starts with in the file: the number of that field.
KEY = b"\0\0"
POSITIONS = 1 << 16
#: One less, so that no document is at the very end of 32 bits.
MOST_DOCUMENTS = (1 << 16) - 1
#: In a version that reads it, a list's octets have this order.
BYTE_ORDER = sys.byteorder

#: As W3TermInfo writes it, with place and size of the list, then its crc32.
_ROW = struct.Struct("!BfIBBfIIqiI")
_PLACE = struct.Struct("!qiI")
_PLACE_AT = _ROW.size - _PLACE.size
_KEY_AND_ROW = struct.Struct("!ii")
_SLOT = struct.Struct("!Iq")
_BLOCK = 1 << 20


class DamagedError(Exception):
    """A file of the index does not hold what was written to it."""


class MappedFile(StructFile):
    """A file read by mmap; Whoosh's own compound files are copied into memory."""

    def get(self, position: int, length: int) -> bytes:
        """Return ``length`` octets from ``position`` on."""
        octets: bytes = self.file[position : position + length]
        return octets


class MappedStorage(FileStorage):
    """A folder whose files are read by mmap."""

    def open_file(self, name: str, **kwargs: Any) -> StructFile:
        """Open a file for reading."""
        with open(self._fpath(name), "rb") as file:  # noqa: PTH123 - a name of Whoosh's
            if os.fstat(file.fileno()).st_size == 0:
                return StructFile(io.BytesIO(), name=name, **kwargs)
            octets = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return MappedFile(octets, name=name, **kwargs)


class Column(FieldType):
    """A number per document, kept as a column and not indexed."""

    indexed = False
    stored = False
    analyzer = None
    format = None
    vector = None
    scorable = False
    spelling = False
    multitoken_query = "default"

    def __init__(self) -> None:
        self.column_type = NumericColumn("Q")

    def to_column_value(self, value: int) -> int:
        """Keep the number as it is."""
        return value

    def from_column_value(self, value: int) -> int:
        """Give the number as it is."""
        return value


class Positions(Format):
    """The form of our lists, towards Whoosh."""

    def fixed_value_size(self) -> int:
        """Say that a posting carries nothing besides document and weight."""
        return 0

    def supports(self, name: str) -> bool:
        """Say what Whoosh's own queries may ask for."""
        return name in {"frequency", "weight"}


class Text(FieldType):
    """The field with words; written by batches only."""

    indexed = True
    stored = False
    analyzer = None
    vector = None
    scorable = False
    spelling = False
    column_type = None
    multitoken_query = "default"

    def __init__(self) -> None:
        self.format = Positions()


def make_schema() -> Schema:
    """Return the fields of a segment."""
    return Schema(text=Text(), article=Column(), ticket=Column())


class PackedSegment(W3Segment):
    """A segment that knows which articles it holds and what its file weighs."""

    #: Smallest and greatest article id.
    first = 0
    last = 0
    #: File name → octets and crc32.
    sums: Mapping[str, tuple[int, int]] = {}


class PackedCodec(W3Codec):
    """Whoosh 3's files with lists as in this module."""

    #: Our fields have no lengths.
    length_stats = False

    def field_writer(self, storage: Any, segment: Any) -> PackedFieldWriter:
        """Return what writes terms and lists."""
        return PackedFieldWriter(storage, segment)

    def terms_reader(self, storage: Any, segment: Any) -> PackedTermsReader:
        """Return what reads them."""
        name = segment.make_filename(self.TERMS_EXT)
        return PackedTermsReader(
            self,
            storage.open_file(name),
            storage.file_length(name),
            segment.open_file(storage, self.POSTS_EXT),
        )

    def new_segment(self, storage: Any, indexname: str) -> PackedSegment:  # noqa: ARG002 - Whoosh's signature
        """Return a new segment."""
        return PackedSegment(self, indexname)


class _TermTable(OrderedHashWriter):
    """Whoosh's ordered hash, written in blocks instead of field by field."""

    def __init__(self, file: Any) -> None:
        # crc32 instead of md5: the format knows both.
        HashWriter.__init__(self, file, hashtype=1)
        self._at = file.tell()
        self._rows: list[bytes] = []
        self._places = array("q")

    def add(self, key: bytes, value: bytes) -> None:
        """Add the next term; they come in order."""
        place = self._at
        self._rows += (_KEY_AND_ROW.pack(len(key), len(value)), key, value)
        self._at = place + _KEY_AND_ROW.size + len(key) + len(value)
        hashed = zlib.crc32(key)
        self.buckets[hashed & 255].append((hashed, place))
        self._places.append(place)
        if len(self._rows) > 1 << 16:
            self._flush()

    def _flush(self) -> None:
        self.dbfile.write(b"".join(self._rows))
        self._rows.clear()

    def _write_hashes(self) -> None:
        self._flush()
        write, tell = self.dbfile.write, self.dbfile.tell
        for entries in self.buckets:
            slots = 2 * len(entries)
            self.directory.append((tell(), slots))
            table = [b""] * slots
            for hashed, place in entries:
                slot = (hashed >> 8) % slots
                while table[slot]:
                    slot = (slot + 1) % slots
                table[slot] = _SLOT.pack(hashed, place)
            empty = bytes(_SLOT.size)
            write(b"".join([each or empty for each in table]))

    def _write_extras(self) -> None:
        places = self._places
        if sys.byteorder == "little":
            places.byteswap()
        self.extras["indextype"] = "q"
        self.extras["indexlen"] = len(places)
        self.dbfile.write_pickle(self.extras)
        self._tail = places.tobytes()

    def close(self) -> None:
        """Write the tables of places and close the file."""
        file = self.dbfile
        self._write_hashes()
        self._write_directory()
        start = file.tell()
        self._write_extras()
        file.write(self._tail)
        file.write_int(file.tell() - start)
        file.close()


class PackedFieldWriter(W3FieldWriter):
    """Writes the one field: terms in order, each with its list."""

    def __init__(self, storage: Any, segment: Any) -> None:
        self._segment = segment
        self._storage = storage
        self._table = _TermTable(self._create_file(W3Codec.TERMS_EXT))
        self._table.extras["fieldmap"] = {FIELD: 0}
        self._postfile = self._create_file(W3Codec.POSTS_EXT)
        self.is_closed = False

    def add_lists(self, lists: Iterable[tuple[bytes, array[int]]]) -> None:
        """Write every term's list; the terms are in order."""
        write, add = self._postfile.write, self._table.add
        place = 0
        waiting: list[bytes] = []
        held = 0
        for term, postings in lists:
            octets = postings.tobytes()
            size = len(octets)
            row = _ROW.pack(
                0,
                len(postings),
                _documents(postings),
                0,
                0,
                0.0,
                postings[0] >> 16,
                postings[-1] >> 16,
                place,
                size,
                zlib.crc32(octets),
            )
            add(KEY + term, row)
            waiting.append(octets)
            held += size
            place += size
            if held > _BLOCK:
                write(b"".join(waiting))
                waiting.clear()
                held = 0
        write(b"".join(waiting))

    def close(self) -> None:
        """Close both files."""
        self._table.close()
        self._postfile.close()
        self.is_closed = True


def _documents(postings: array[int]) -> int:
    """Return in how many documents a list has the word."""
    if len(postings) == 1:
        return 1
    return len({each >> 16 for each in postings})


class PackedTermsReader(W3TermsReader):
    """Reads terms and lists; Whoosh's own queries work on it as well."""

    def matcher(
        self, fieldname: str, tbytes: bytes, format_: Any, scorer: Any = None
    ) -> ListMatcher:
        """Return a list as Whoosh's matchers want it."""
        info: W3TermInfo = self.term_info(fieldname, tbytes)
        documents = sorted({each >> 16 for each in self.postings(tbytes)})
        weights = [1.0] * len(documents)
        return ListMatcher(
            documents,
            weights,
            None,
            format_,
            scorer=scorer,
            term=(fieldname, tbytes),
            terminfo=info,
        )

    def postings(self, term: bytes) -> array[int]:
        """Return a term's list; empty where there is no such term."""
        row = self._tindex.get(KEY + term)
        return array("I") if row is None else self._list(row)

    def beginning_with(self, start: bytes) -> Iterator[tuple[bytes, int, bytes]]:
        """Yield the terms that begin so: term, number of documents, row."""
        for key, row in self._tindex.items_from(KEY + start):
            term = key[2:]
            if not term.startswith(start):
                return
            yield term, int.from_bytes(row[5:9], "big"), row

    def lists(self) -> Iterator[tuple[bytes, array[int]]]:
        """Yield every term with its list, in order."""
        for key, row in self._tindex.items():
            yield key[2:], self._list(row)

    def list_of(self, row: bytes) -> array[int]:
        """Return the list that a row of the term table names."""
        return self._list(row)

    def _list(self, row: bytes) -> array[int]:
        place, size, crc = _PLACE.unpack_from(row, _PLACE_AT)
        octets = self._postfile.get(place, size)
        if zlib.crc32(octets) != crc:
            raise DamagedError(f"the list at {place} has another checksum")
        postings = array("I")
        postings.frombytes(octets)
        return postings
