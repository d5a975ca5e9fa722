"""Content-Transfer-Encoding: encoded octets → decoded octets, in chunks.

In: the content and where a body lies in it (RFC 2045 §6). Out: chunks of decoded
octets; broken encodings give what can be had, nothing fails. No more than a few
chunks are in memory, whatever the size of the body.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator

from otrsd.mime.limits import CHUNK_OCTETS

Decoder = Callable[[bytes, int, int], Iterator[bytes]]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET))
_BASE64_LINES = _ALPHABET + b"\r\n"
_WHOLE = re.compile(rb"(?:[A-Za-z0-9+/=]{4})+\Z")
_FIRST_LINE = re.compile(rb"\s*([^\r\n]*)")
#: Octets by which a false label is seen.
_SAMPLE = 1000
_FOOTER = re.compile(rb"=(?:[ \t]+[^\s=]|[A-Za-z0-9+/=\s]{0,80}[^A-Za-z0-9+/=\s])")
_HALF_ESCAPE = re.compile(rb"=[0-9A-Fa-f]?\Z")
#: A soft line break with blanks behind it, which count for nothing (RFC 2045 §6.7).
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
_UU_BEGIN = re.compile(rb"(?m)^begin [0-7]{3,4} [^\n]*\n")
#: Encoded groups that are padded in mid-stream (joined base64 texts) are decoded
#: one by one, so many times in a chunk; beyond that it is junk and read as one.
_JOINED_GROUPS = 100
_QUARTET = 4


#: A comment (RFC 822 §3.4.3) that holds no other.
_COMMENT = re.compile(r"\([^()]{0,200}\)")
#: Transfer encodings as they are also written.
_ENCODINGS = {
    "7-bit": "7bit",
    "8-bit": "8bit",
    "quoted printable": "quoted-printable",
    "quoted_printable": "quoted-printable",
    "qp": "quoted-printable",
    "base-64": "base64",
}


def encoding_of(value: str) -> str:
    """Return the encoding that a Content-Transfer-Encoding names, in lower case."""
    name = _COMMENT.sub("", value).lower().partition(";")[0].strip("\"' ")
    return _ENCODINGS.get(name, name)


def decode_transfer(
    content: bytes, start: int, end: int, encoding: str
) -> Iterator[bytes]:
    """Yield the decoded octets of ``content[start:end]``."""
    return _DECODERS.get(encoding, _identity)(content, start, end)


def is_known(encoding: str) -> bool:
    """Tell whether an encoding's name has a meaning here."""
    return encoding in _DECODERS


def _identity(content: bytes, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, CHUNK_OCTETS):
        yield content[at : min(at + CHUNK_OCTETS, end)]


def _base64(content: bytes, start: int, end: int) -> Iterator[bytes]:
    if _is_prose(content, start, end):
        yield from _identity(content, start, end)
        return
    rest = b""
    for chunk in _until_footer(content, start, end):
        data = rest + chunk.translate(None, _NOT_BASE64)
        whole = len(data) // _QUARTET * _QUARTET
        rest = data[whole:]
        if b"=" not in data[:whole]:
            yield binascii.a2b_base64(data[:whole])
            continue
        # A padded group ends a text; what follows is another one, not aligned.
        groups = re.split(rb"=+", data, maxsplit=_JOINED_GROUPS)
        rest = groups.pop().replace(b"=", b"")
        yield b"".join(_padded(group) for group in groups)
        whole = len(rest) // _QUARTET * _QUARTET
        yield binascii.a2b_base64(rest[:whole])
        rest = rest[whole:]
    yield _padded(rest.replace(b"=", b""))


def _is_prose(content: bytes, start: int, end: int) -> bool:
    """Tell whether text is said to be base64, but evidently is none."""
    first = _FIRST_LINE.match(content, start, end)
    if first is None or _WHOLE.match(first[1].rstrip()):
        return False
    sample = content[start : min(start + _SAMPLE, end)]
    return len(sample.translate(None, _BASE64_LINES)) > len(sample) // 20


def _until_footer(content: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield chunks; a footer in plain words behind the padding ends them."""
    for chunk in _identity(content, start, end):
        padding = chunk.find(b"=")
        if padding >= 0 and _FOOTER.match(chunk, padding):
            yield chunk[: padding + 2]
            return
        yield chunk


def _padded(group: bytes) -> bytes:
    if len(group) % _QUARTET == 1:
        group = group[:-1]
    return binascii.a2b_base64(group + b"=" * (-len(group) % _QUARTET))


def _quoted_printable(content: bytes, start: int, end: int) -> Iterator[bytes]:
    at = start
    while at < end:
        stop = min(at + CHUNK_OCTETS, end)
        if stop < end:
            # End after a line where there is one, else before a cut escape.
            line = content.rfind(b"\n", at, stop) + 1
            cut = _HALF_ESCAPE.search(content, max(at, stop - 2), stop)
            stop = line or (cut.start() if cut and cut.start() > at else stop)
        yield binascii.a2b_qp(_SOFT_BREAK.sub(b"=", content[at:stop]))
        at = stop


def _uuencode(content: bytes, start: int, end: int) -> Iterator[bytes]:
    begin = _UU_BEGIN.search(content, start, end)
    at = begin.end() if begin else start
    while at < end:
        stop = content.find(b"\n", at, end) + 1 or end
        line = content[at : min(stop, at + 100)].rstrip(b"\r\n")
        if line == b"end":
            return
        yield uu_line(line)
        at = stop


def uu_line(line: bytes) -> bytes:
    """Return the octets of one line of uuencode, as far as they can be had."""
    if not line:
        return b""
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders pad the line: take as many octets as it announces.
        octets = ((line[0] - 32) & 63) * 4 + 5
        try:
            return binascii.a2b_uu(line[: octets // 3])
        except binascii.Error:
            return b""


_DECODERS: dict[str, Decoder] = {
    "": _identity,
    "7bit": _identity,
    "8bit": _identity,
    "binary": _identity,
    "base64": _base64,
    "quoted-printable": _quoted_printable,
    "x-uuencode": _uuencode,
    "uuencode": _uuencode,
    "x-uue": _uuencode,
    "uue": _uuencode,
}
