"""One header field: octets → text, encoded words, parameters.

In: the raw value of one field (RFC 5322 §2.2). Out: text on one line, or the value
and parameters of a MIME field (RFC 2045 §5.1, RFC 2231). Nothing fails: what can't
be decoded stays as it was written. Raw 8-bit octets are UTF-8, else Windows-1252.
"""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

from otrsd.mime.charset import decode
from otrsd.mime.limits import ENCODED_WORDS, PARAMETERS

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_BREAKS = re.compile("[\r\n\x0b\x0c\x85\u2028\u2029]+")
#: An encoded word; of the last one the end may be cut off. Encoders forget to encode
#: blanks and question marks in it.
_WORD = re.compile(
    r"=\?([^?\s]{0,60})\?([bBqQ])\?((?:[^?=]++|=(?!\?(?!=))|\?(?!=))*+)(?:\?=|\?*\Z)"
)
_PARAMETER = re.compile(
    r';\s*([^\s=;"]{1,60})\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))', re.DOTALL
)
#: Where a semicolon is missing: ``attachment filename=a``, or the value itself.
_UNPARTED = re.compile(r"\A(?:([^\s=\"]{1,200})\s+)?(?=[\w*-]{1,60}\s{0,9}=)")
_NO_DIGIT = re.compile("[^A-Za-z0-9+/=]")
_QUOTED_PAIR = re.compile(r'\\(["\\])')
_SECTION = re.compile(r"([^*]+)\*(?:([0-9]{1,3})(\*?))?\Z")


def raw_text(value: bytes, charset: str = "") -> str:
    """Return a raw value unfolded and stripped, encoded words still encoded.

    Raw 8-bit octets are UTF-8 (RFC 6532), else in ``charset``: the body's, perhaps.
    """
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        text = _decode_raw(value, charset)
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if not text.isprintable():
        text = _BREAKS.sub(" ", text)
    return text.strip()


def _decode_raw(value: bytes, charset: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return decode(value, charset)


def decode_words(text: str) -> str:
    """Return ``text`` with its encoded words decoded, on one line (RFC 2047).

    Neighbours of one charset are joined before decoding: mailers cut words in the
    middle of a character. White space between two encoded words is not shown.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    words: list[tuple[str, str]] = []
    charset, at = "", 0
    for count, match in enumerate(_WORD.finditer(text)):
        if count == ENCODED_WORDS:
            break
        between = text[at : match.start()]
        declared = match[1].partition("*")[0].lower()
        if not match[3].isascii():
            # Raw 8-bit octets in an encoded word were decoded as such already.
            declared = "utf-8"
        adjacent = bool(words) and (not between or between.isspace())
        if not (adjacent and declared == charset):
            out.append(decode(_octets(words), charset))
            words = []
        if not adjacent:
            out.append(between)
        words.append((match[2].lower(), match[3]))
        charset, at = declared, match.end()
    out.append(decode(_octets(words), charset))
    out.append(text[at:])
    return _BREAKS.sub(" ", "".join(out))


def _octets(words: list[tuple[str, str]]) -> bytes:
    """Return what neighbours encode; some mailers cut base64 where a line is full."""
    if len(words) > 1 and all(encoding == "b" for encoding, _ in words):
        digits = [_NO_DIGIT.sub("", encoded) for _, encoded in words]
        lengths = [len(each) % 4 for each in digits]
        if any(lengths) and not sum(lengths) % 4 and "=" not in "".join(digits[:-1]):
            return _base64("".join(digits))
    return b"".join(
        _base64(_NO_DIGIT.sub("", encoded))
        if encoding == "b"
        else binascii.a2b_qp(encoded.encode(), header=True)
        for encoding, encoded in words
    )


def _base64(digits: str) -> bytes:
    """Decode groups, each padded or not; a single digit left over is nothing."""
    groups = (g[: len(g) - (len(g) % 4 == 1)] for g in digits.split("="))
    return b"".join(binascii.a2b_base64(g + "=" * (-len(g) % 4)) for g in groups)


def parameters(text: str) -> tuple[str, dict[str, str]]:
    """Return the value and the parameters of a MIME field, names in lower case.

    Sections of RFC 2231 are joined in the order of their numbers; the first of two
    equal names wins.
    """
    value, semicolon, _ = text.partition(";")
    if "=" in value:
        text = _UNPARTED.sub(r"\1;", text, count=1)
        value, semicolon, _ = text.partition(";")
    found: dict[str, str] = {}
    if not semicolon:
        return value.strip(), found
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    matches = _PARAMETER.finditer(text, len(value))
    for _, match in zip(range(PARAMETERS), matches, strict=False):
        name = match[1].lower()
        written = match[2]
        if written is None:
            written = match[3].strip()
        else:
            written = _QUOTED_PAIR.sub(r"\1", written)
        section = _SECTION.match(name)
        if section is None:
            found.setdefault(name, written)
            continue
        number = int(section[2] or 0)
        extended = section[2] is None or bool(section[3])
        sections.setdefault(section[1], {}).setdefault(number, (written, extended))
    for name, numbered in sections.items():
        found[name] = _joined(numbered)
    return value.strip(), found


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    charset, octets = "", b""
    for position, number in enumerate(sorted(numbered)):
        written, extended = numbered[number]
        if position == 0 and extended and written.count("'") > 1:
            charset, _, written = written.split("'", 2)
        if extended:
            octets += unquote_to_bytes(written)
        else:
            octets += written.encode(errors="replace")
    return decode(octets, charset)
