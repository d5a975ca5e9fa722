"""Octets → text, whatever charset they claim.

In: octets and the declared charset. Out: text without NUL and without surrogates;
nothing fails. The declared charset is used if it is on the list below; else, or
where it does not fit, UTF-8 is tried, then Windows-1252 with U+FFFD for the rest.
The list is closed because Python's codecs include transformations (zlib, punycode,
unicode_escape) that must never run on a stranger's octets.
"""

from __future__ import annotations

import re

_SAME = """
utf-8 utf-16 utf-16le utf-16be utf-32 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5
iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-10 iso-8859-13 iso-8859-14 iso-8859-15
iso-8859-16 koi8-r koi8-u big5hkscs gb18030 hz iso-2022-jp-2 iso-2022-kr cp437 cp850
cp852 cp866 tis-620 mac-roman
"""
#: Declared name (lower case, ``_`` as ``-``) → Python's codec. Several names are
#: read as the larger charset that mailers really send under them.
_CODECS = {
    **{name: name for name in _SAME.split()},
    **{f"windows-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "ansi-x3.4-1968": "utf-8",
    "utf-7": "utf-7",
    "unicode-1-1-utf-7": "utf-7",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "windows-874": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "iso8859-15": "iso-8859-15",
    "latin9": "iso-8859-15",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "x-gbk": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "euc-kr": "cp949",
    "ks-c-5601-1987": "cp949",
    "ks-c-5601": "cp949",
    "cp949": "cp949",
    "iso-2022-jp": "iso-2022-jp-2",
    "iso-2022-jp-1": "iso-2022-jp-2",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "cp932": "cp932",
    "windows-31j": "cp932",
    "euc-jp": "euc-jp",
    "macintosh": "mac-roman",
}
_UTF_7 = "utf-7"
_ISO_2022_JP = "iso-2022-jp-2"
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
    codec = _CODECS.get(declared.strip().strip("\"'").lower().replace("_", "-"), "")
    return "" if html and codec == _UTF_7 else codec


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
    if codec == _ISO_2022_JP:
        return _decode_jis(octets)
    for candidate in (codec, "utf-8"):
        try:
            if candidate:
                return octets.decode(candidate)
        except (UnicodeError, ValueError):
            continue
    return _best_effort(octets, codec)


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
    most octets beyond ASCII are wrong is Windows-1252 under a false name.
    """
    if codec not in ("", "utf-8"):
        return octets.decode(codec, "replace")
    text = octets.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = sum(1 for c in text if c > "\x7f") - wrong
    if wrong <= right:
        return text
    return octets.decode("cp1252", "replace")
