"""winmail.dat: what Outlook wraps a mail in when it thinks the reader is Outlook.

In: the octets of an ``application/ms-tnef`` part (MS-OXTNEF). Out: the files in it, and
the text of the mail where it is plain or HTML; nothing fails, what is cut off or
damaged ends the reading. One pass, no recursion: a message within is one file.
Read by us because no library for it is cared for any more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from otrsd.mime.charset import codec_of
from otrsd.mime.opened import Opened, type_of

_SIGNATURE = 0x223E9F78
#: Signature and key before the first attribute; level, name and length of each one.
_HEAD, _ATTRIBUTE = 6, struct.Struct("<BII")
#: Attributes that are read (MS-OXTNEF §2.1.3.2), by the lower half of their names.
_BODY, _MESSAGE_PROPERTIES, _CODEPAGE = 0x800C, 0x9003, 0x9007
_FILE_BEGINS, _FILE_NAME, _FILE_DATA = 0x9002, 0x8010, 0x800F
_FILE_PROPERTIES = 0x9005
#: Properties that are read (MS-OXPROPS).
_P_BODY, _P_HTML, _P_DATA = 0x1000, 0x1013, 0x3701
_P_NAME, _P_LONG_NAME, _P_TYPE = 0x3704, 0x3707, 0x370E
#: Fixed sizes of property types; of the others, those that carry a count of values.
_SIZES = {1: 0, 2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0xA: 4, 0xB: 4, 0x14: 8, 0x40: 8}
_SIZES[0x48] = 16
_VARIABLE = frozenset((0xD, 0x1E, 0x1F, 0x102))
_UNICODE, _OBJECT, _MANY = 0x1F, 0xD, 0x1000
_NAMED = 0x8000
#: Files, and properties of one of them, that are read; values of one property.
_FILES, _PROPERTIES, _VALUES = 200, 2000, 10_000


@dataclass(slots=True)
class _File:
    name: str = ""
    data: bytes = b""
    properties: dict[int, Any] = field(default_factory=dict)

    def opened(self) -> Opened:
        known = self.properties
        name = known.get(_P_LONG_NAME) or self.name or known.get(_P_NAME) or ""
        kind = known.get(_P_TYPE) or ""
        return Opened(
            name=str(name),
            content_type=str(kind).lower() if "/" in str(kind) else type_of(str(name)),
            octets=self.data or known.get(_P_DATA, b""),
        )


def open_tnef(octets: bytes) -> list[Opened]:
    """Return the texts and files in a winmail.dat; none if it is not one."""
    if len(octets) < _HEAD or struct.unpack_from("<I", octets)[0] != _SIGNATURE:
        return []
    files: list[_File] = []
    message: dict[int, Any] = {}
    codec = "cp1252"
    for name, data in _attributes(octets):
        if name == _CODEPAGE and len(data) >= 4:  # noqa: PLR2004 - one number
            codec = _codec(struct.unpack_from("<I", data)[0])
        elif name == _BODY:
            message.setdefault(_P_BODY, _text(data, codec))
        elif name == _MESSAGE_PROPERTIES:
            message.update(_properties(data, codec))
        elif name == _FILE_BEGINS and len(files) < _FILES:
            files.append(_File())
        elif files:
            _fill(files[-1], name, data, codec)
    return [*_bodies(message), *(each.opened() for each in files)]


def _fill(file: _File, name: int, data: bytes, codec: str) -> None:
    if name == _FILE_NAME:
        file.name = _text(data, codec)
    elif name == _FILE_DATA:
        file.data = data
    elif name == _FILE_PROPERTIES:
        file.properties = _properties(data, codec)


def _bodies(message: dict[int, Any]) -> Iterator[Opened]:
    for name, kind in ((_P_BODY, "text/plain"), (_P_HTML, "text/html")):
        body = message.get(name)
        if body and isinstance(body, str):
            body = body.encode()
        if body and isinstance(body, bytes):
            yield Opened(name="", content_type=kind, octets=body, is_body=True)


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = _HEAD
    while at + _ATTRIBUTE.size <= len(octets):
        _, name, length = _ATTRIBUTE.unpack_from(octets, at)
        at += _ATTRIBUTE.size
        if length > len(octets) - at:
            return
        yield name & 0xFFFF, octets[at : at + length]
        # A checksum of two octets follows.
        at += length + 2


def _properties(data: bytes, codec: str) -> dict[int, Any]:
    """Return the properties of a list, as far as it can be read."""
    found: dict[int, Any] = {}
    try:
        (count,) = struct.unpack_from("<I", data)
        at = 4
        for _ in range(min(count, _PROPERTIES)):
            kind, name = struct.unpack_from("<HH", data, at)
            at += 4
            if name >= _NAMED:
                at = _after_name(data, at)
            value, at = _value(data, at, kind, codec)
            found.setdefault(name, value)
    except (struct.error, IndexError):
        pass
    return found


def _after_name(data: bytes, at: int) -> int:
    """Return where the value of a named property begins."""
    is_text: int
    length: int
    (is_text,) = struct.unpack_from("<I", data, at + 16)
    if not is_text:
        return at + 24
    (length,) = struct.unpack_from("<I", data, at + 20)
    return at + 24 + length + -length % 4


def _value(data: bytes, at: int, kind: int, codec: str) -> tuple[Any, int]:
    """Return a property's first value, and where the next property begins."""
    single = kind & ~_MANY
    count = 1
    if kind & _MANY or single in _VARIABLE:
        (count,) = struct.unpack_from("<I", data, at)
        at += 4
    if single in _SIZES:
        return None, at + max(_SIZES[single], 4 if single != 1 else 0) * count
    if single not in _VARIABLE or count > _VALUES:
        raise IndexError(kind)
    value: Any = None
    for number in range(count):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if length > len(data) - at:
            raise IndexError(kind)
        if not number:
            value = _read(data[at : at + length], single, codec)
        at += length + -length % 4
    return value, at


def _read(data: bytes, kind: int, codec: str) -> Any:
    if kind == _UNICODE:
        return data.decode("utf-16-le", "replace").rstrip("\0")
    if kind == _OBJECT:
        # An interface's id comes first.
        return data[16:]
    return _text(data, codec) if kind == 0x1E else data  # noqa: PLR2004 - a string


def _text(data: bytes, codec: str) -> str:
    return data.rstrip(b"\0").decode(codec, "replace")


def _codec(page: int) -> str:
    return codec_of(f"cp{page}") or "cp1252"
