"""Whether the files of a build are what was written: sizes, checksums, contents.

Nothing is unpickled before its checksum fits. Every function raises one of
``DAMAGE`` for a damaged build, except :func:`damage_of`, which says it in words.
"""

from __future__ import annotations

import errno
import pickle
import struct
import zlib
from pathlib import Path

from whoosh.index import TOC, EmptyIndexError, IndexError as WhooshIndexError

from otrsd.search.whoosh.codec import DamagedError, MappedStorage, PackedSegment
from otrsd.search.whoosh.writer import MARK, TRAILER

#: Whatever reading a damaged file can raise.
DAMAGE = (
    DamagedError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    NameError,
    OSError,
    OverflowError,
    AssertionError,
    AttributeError,
    EmptyIndexError,
    TypeError,
    ValueError,
    WhooshIndexError,
    pickle.UnpicklingError,
    struct.error,
    zlib.error,
)

#: What the machine says when the index is not at fault.
MACHINE = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EPERM,
        errno.EROFS,
    }
)


def contents(build: Path) -> tuple[int, tuple[PackedSegment, ...]]:
    """Return the last commit's number and its segments, checked before unpickling."""
    storage = MappedStorage(str(build))
    number = TOC._latest_generation(storage, "MAIN")  # noqa: SLF001 - Whoosh has no other way
    if number < 0:
        raise DamagedError("there is no table of contents")
    octets = (build / TOC._filename("MAIN", number)).read_bytes()  # noqa: SLF001 - likewise
    if len(octets) < TRAILER.size:
        raise DamagedError("the table of contents is cut off")
    mark, crc = TRAILER.unpack(octets[-TRAILER.size :])
    if mark != MARK or zlib.crc32(octets[: -TRAILER.size]) != crc:
        raise DamagedError("the table of contents has another checksum")
    return number, tuple(TOC.read(storage, "MAIN", gen=number).segments)


def check_sizes(build: Path, segment: PackedSegment) -> None:
    """Compare each file's size with what was written."""
    for name, (size, _) in segment.sums.items():
        found = (build / name).stat().st_size
        if found != size:
            raise DamagedError(f"{name} has {found} octets, not {size}")


def damage_of(build: Path, *, thorough: bool) -> str:
    """Return what is wrong with a build's files; empty: nothing."""
    try:
        for segment in contents(build)[1]:
            check_sizes(build, segment)
            for name, (_, crc) in segment.sums.items() if thorough else ():
                if _crc_of(build / name) != crc:
                    return f"{name} has another checksum"
    except DAMAGE as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _crc_of(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            crc = zlib.crc32(piece, crc)
    return crc
