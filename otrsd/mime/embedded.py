"""Files written into a text: uuencode and yEnc.

In: the octets of a text. Out: the text without them, and the files; of each one the
line that names it stays where it was. What only looks like a file (a line
``begin 644 …`` in prose) stays text; nothing fails.
"""

from __future__ import annotations

import re

from otrsd.mime.charset import decode
from otrsd.mime.opened import Opened, type_of
from otrsd.mime.transfer import uu_line

_BEGIN = re.compile(
    rb"(?m)^(?:begin(?:-base64)? [0-7]{3,4} (?P<uu>[^\r\n]{1,255})"
    rb"|=ybegin [^\r\n]{0,200}?name=(?P<yenc>[^\r\n]{1,255}))\r?\n"
)
_MARK = re.compile(rb"(?m)^(?:begin |begin-base64 |=ybegin )")
_LINE = re.compile(rb"[^\n]*\n?")
_UU_CHARACTERS = re.compile(rb"[\x20-\x60]*\Z")
#: How much longer than its length says a line of uuencode may be.
_SLACK = 3
#: Lines of one text that may name a file.
_TRIED = 100
_YENC_ESCAPE = re.compile(rb"=(.)", re.DOTALL)
_YENC_END = b"\n=yend "
_YENC = bytes((octet - 42) % 256 for octet in range(256))


def has_mark(text: bytes) -> bool:
    """Tell whether a file may be written in a text."""
    return (b"begin" in text) and _MARK.search(text) is not None


def take_files(text: bytes) -> tuple[bytes, list[Opened]]:
    """Return the text without the files, and the files."""
    rest: list[bytes] = []
    files: list[Opened] = []
    at = 0
    has_yenc = _YENC_END in text
    for _, match in zip(range(_TRIED), _BEGIN.finditer(text), strict=False):
        if match.start() < at or (match["yenc"] and not has_yenc):
            continue
        read = _read_uu if match["uu"] else _read_yenc
        found = read(text, match.end())
        if found is None:
            continue
        octets, end = found
        name = decode(match["uu"] or match["yenc"]).strip().strip('"')
        files.append(Opened(name=name, content_type=type_of(name), octets=octets))
        # The line that names it stays: one sees where it was.
        rest.append(text[at : match.end()])
        at = end
    return b"".join(rest) + text[at:], files


def _read_uu(text: bytes, at: int) -> tuple[bytes, int] | None:
    """Return the octets, and where the text goes on; ``None`` if it is no file."""
    out: list[bytes] = []
    start = at
    while (match := _LINE.match(text, at)) and match[0]:
        line = match[0].rstrip(b"\r\n")
        if line.rstrip() == b"end":
            return b"".join(out), match.end()
        if not _is_uu(line):
            break
        out.append(uu_line(line))
        at = match.end()
    # Without an end it must at least have begun like one.
    return (b"".join(out), at) if at > start and any(out) else None


def _is_uu(line: bytes) -> bool:
    if not line or not _UU_CHARACTERS.match(line):
        return not line.strip()
    octets = (line[0] - 32) & 63
    digits = -(-octets // 3) * 4
    # Blanks at the end of a line get lost on the way.
    return len(line) - 1 <= digits + _SLACK and len(line) > digits // 2


def _read_yenc(text: bytes, at: int) -> tuple[bytes, int] | None:
    end = text.find(_YENC_END, at - 1)
    if end < 0:
        return None
    lines = text[at : max(end, at)].splitlines()
    if lines and lines[0].startswith(b"=ypart "):
        del lines[0]
    data = _YENC_ESCAPE.sub(
        lambda m: bytes([(m[1][0] - 64) % 256]), b"".join(lines)
    ).translate(_YENC)
    stop = text.find(b"\n", end + 1)
    return data, stop + 1 if stop >= 0 else len(text)
