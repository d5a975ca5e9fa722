"""Octets → text, whatever charset they claim.

In: octets and the declared charset. Out: text without NUL and without surrogates;
nothing fails. The declared charset is used if it is on the list below; else, or
where it does not fit, UTF-8 is tried, then the likeliest other one (Windows-1252 in
doubt) with U+FFFD for the rest.
The list is closed because Python's codecs include transformations (zlib, punycode,
unicode_escape) that must never run on a stranger's octets.
"""

from __future__ import annotations

import re

from otrsd.mime.charset_guess import guess_codec

#: Python's codec, and the names under which it is declared (``_`` as ``-``); several
#: are read as the larger charset that mailers really send under them.
_TABLE = """
utf-8 utf-8 utf8 utf8mb4 utf-8-sig cp65001 unicode-1-1-utf-8
utf-8 us-ascii ascii 646 us iso646-us ansi-x3.4-1968
utf-7 utf-7 unicode-1-1-utf-7
utf-16 utf-16 unicode
utf-16le utf-16le
utf-16be utf-16be
utf-32 utf-32
cp1252 latin1 latin-1 l1 ansi x-ansi
cp1254 latin5 latin-5
cp874 tis-620 tis620
iso-8859-2 latin2 latin-2
iso-8859-15 latin9 latin-9
gb18030 gb18030 gb2312 gbk x-gbk csgb2312 gb-2312-80 gb2312-80 euc-cn
hz hz hz-gb-2312
big5hkscs big5 big5-hkscs big5hkscs x-big5 csbig5
cp949 euc-kr euckr uhc ksc5601 ks-c-5601 ks-c-5601-1987 ks-c-5601-1989
iso-2022-kr iso-2022-kr
johab johab
iso-2022-jp-2 iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-ms
cp932 shift-jis sjis x-sjis ms-kanji windows-31j cswindows31j
euc-jp euc-jp x-euc-jp eucjp
koi8-r koi8-r koi8 koi8r cskoi8r
koi8-u koi8-u koi8-ru koi8u
mac-roman macintosh mac x-mac-roman mac-roman
mac-cyrillic x-mac-cyrillic mac-cyrillic
mac-latin2 x-mac-ce
"""
_CODECS = {
    name: codec
    for codec, *names in map(str.split, _TABLE.strip().splitlines())
    for name in names
}
#: Numbers of ISO 8859 and of code pages that are allowed, also under other names.
_ISO = {str(n): f"iso-8859-{n}" for n in (*range(2, 9), 10, 13, 14, 15, 16)}
_ISO |= {"1": "cp1252", "9": "cp1254", "11": "cp874"}
_PAGES = {str(n): f"cp{n}" for n in (437, 850, 852, 855, 858, 862, 866, 874)}
_PAGES |= {str(n): f"cp{n}" for n in (932, 949, *range(1250, 1259))}
_PAGES |= {"936": "gb18030", "950": "big5hkscs"}
_FAMILIES = (
    (re.compile(r"(?:(?:cs)?iso-?|)8859-(\d\d?)(?:-[ie]|:\d+)?\Z"), _ISO),
    (re.compile(r"iso-?8859(\d\d?)\Z"), _ISO),
    (re.compile(r"(?:x-|cs)?(?:windows|win|cp|ibm|ms|dos)-?(\d{3,4})\Z"), _PAGES),
)
_PREFIX = re.compile(r"(?:x-|cs|iso-)")
#: What may surround a name.
_AROUND = " \t\"';:"
_UTF_7 = "utf-7"
_ISO_2022_JP = "iso-2022-jp-2"
#: Names that mailers write into everything.
_LATIN = ("", "utf-8", "cp1252")
#: Where the rows and cells of Shift-JIS leave a gap.
_ROW_GAP, _CELL_GAP = 0x5F, 0x60
_JIS_RUN = re.compile(rb"\x1b(\$@|\$B|\(B|\(J|\(I)")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
#: What strict decoding must not leave behind: PostgreSQL refuses NUL, UTF-8 refuses
#: surrogates (the UTF-7 decoder makes them).
_SURROGATE = re.compile("[\ud800-\udfff]")


def codec_of(declared: str, *, html: bool = False) -> str:
    """Return Python's codec for a declared charset, empty if it is not allowed.

    UTF-7 is no charset for HTML: it hides markup from every filter.
    """
    name = declared.strip(_AROUND).lower().replace("_", "-")
    codec = _CODECS.get(name) or _in_family(name) or ""
    return "" if html and codec == _UTF_7 else codec


def _in_family(name: str) -> str:
    # A comment, a second name or a number of years may follow.
    name = re.split(r"[\s,;(]", name[:80], maxsplit=1)[0].strip(_AROUND)
    for pattern, codecs in _FAMILIES:
        if match := pattern.match(name):
            return codecs.get(match[1], "")
    return _CODECS.get(name) or _CODECS.get(_PREFIX.sub("", name), "")


def decode(octets: bytes, declared: str = "", *, html: bool = False) -> str:
    """Return ``octets`` as text."""
    text = _decode(octets, codec_of(declared, html=html))
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _decode(octets: bytes, codec: str) -> str:
    for mark, unicode in _BOMS:
        if octets.startswith(mark) and codec in ("", unicode, "utf-8"):
            return octets.decode(unicode, "replace").removeprefix("\ufeff")
    if codec == "utf-16":
        codec = _byte_order(octets)
    if codec in (*_LATIN, _ISO_2022_JP) and _JIS_RUN.search(octets):
        return _decode_jis(octets)
    # What is valid UTF-8 beyond ASCII was never meant to be anything else.
    first = "utf-8" if codec in _LATIN else codec
    for candidate in dict.fromkeys((first, codec or first, "utf-8")):
        try:
            return octets.decode(candidate)
        except (UnicodeError, ValueError):
            continue
    return _best_effort(octets, codec)


def _byte_order(octets: bytes) -> str:
    """Return the codec of UTF-16 without a mark: big-endian (RFC 2781 §4.3) in doubt.

    Blanks and line ends tell in every script which half of a character is nil.
    """
    little = octets[1::2].count(0) > octets[::2].count(0)
    return "utf-16le" if little else "utf-16be"


def _decode_jis(octets: bytes) -> str:
    """Decode ISO-2022-JP as mailers really write it.

    They put the vendor characters of Windows into it (circled digits and so on),
    which the standard's codec refuses; Windows' own codec takes the same rows.
    """
    try:
        return octets.decode(_ISO_2022_JP)
    except UnicodeError:
        out: list[str] = []
        mode = b"(B"
        for number, run in enumerate(_JIS_RUN.split(octets)):
            if number % 2:
                mode = run
            elif mode[:1] == b"$":
                out.append(_jis_to_windows(run).decode("cp932", "replace"))
            elif mode == b"(I":
                out.append(bytes(o | 0x80 for o in run).decode("cp932", "replace"))
            else:
                out.append(run.decode("cp932", "replace"))
        return "".join(out)


def _jis_to_windows(run: bytes) -> bytes:
    """Move pairs of JIS X 0208 to their places in Shift-JIS."""
    out = bytearray()
    # Nothing but 7 bit has a place there.
    run = bytes(octet & 0x7F for octet in run)
    for row, cell in zip(run[::2], run[1::2], strict=False):
        out.append((row + 1) // 2 + (0x70 if row < _ROW_GAP else 0xB0))
        if row % 2:
            out.append(cell + (0x1F if cell < _CELL_GAP else 0x20))
        else:
            out.append((cell + 0x7E) & 0xFF)
    return bytes(out)


def _best_effort(octets: bytes, codec: str) -> str:
    """Decode what fits no charset strictly.

    A text that was cut, or has a few wrong octets, keeps its charset; one where
    most octets beyond ASCII are wrong is in another one (:mod:`.charset_guess`).
    """
    text = octets.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = sum(1 for c in text if c > "\x7f") - wrong
    if wrong <= right:
        return text
    if codec in ("", "utf-8", _ISO_2022_JP):
        codec = guess_codec(octets)
    return octets.decode(codec, "replace")
