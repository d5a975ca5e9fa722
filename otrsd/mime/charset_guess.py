"""Which charset a text is in that declares none, or a wrong one.

In: octets beyond ASCII that are no UTF-8. Out: Python's codec for them; Windows-1252
where nothing else is likely. Nothing fails. Two things are looked at: whether all
octets pair up as the double-byte charsets of East Asia want it, and whether most
letters are frequent ones of an alphabet. At most the first 4 KiB are read.
"""

from __future__ import annotations

import re
from collections import Counter

_READ = 4096
#: Double octets without which an East Asian charset is not believed.
_PAIRS = 6
#: Letters without which an alphabet is not believed.
_LEAST_LETTERS = 4
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_LETTERS = re.compile(rb"[A-Za-z\x80-\xff]")
#: A run of Shift-JIS: double octets, or half-width katakana.
_SHIFT_JIS = re.compile(
    rb"(?:[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]|[\xa1-\xdf]|[\x00-\x7f])*\Z"
)
#: The lead octets of hiragana and katakana there.
_SJIS_KANA = re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]")
_BIG5 = re.compile(rb"(?:[\xa1-\xf9][\x40-\x7e\xa1-\xfe]|[\x00-\x7f])*\Z")
_BIG5_PAIR = re.compile(rb"[\xa1-\xf9][\x40-\x7e\xa1-\xfe]")
_GBK = re.compile(rb"(?:[\x81-\xfe][\x40-\x7e\x80-\xfe]|[\x00-\x7f])*\Z")
_GBK_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
#: Codec → the letters that make up two thirds of such a text.
_ALPHABETS = {
    "cp1251": "оеаинтсрвлкмдпуыь",
    "koi8-r": "оеаинтсрвлкмдпуыь",
    "cp866": "оеаинтсрвлкмдпуыь",
    "iso-8859-5": "оеаинтсрвлкмдпуыь",
    "cp1253": "αοιετσνηυρπκμλως",
    "cp1255": "יולהמראבתשנ",
    "cp1256": "اليمونرتبةعد",
}
_DEFAULT = "cp1252"


def guess_codec(octets: bytes) -> str:
    """Return the likeliest codec of a text that is not UTF-8."""
    sample = octets[:_READ]
    high = sum(map(len, _HIGH_RUN.findall(sample)))
    if high * 5 < len(_LETTERS.findall(sample)):
        # Some accents among Latin letters.
        return _DEFAULT
    return _east_asian(sample) or _alphabet(sample) or _DEFAULT


def _east_asian(sample: bytes) -> str:
    runs = _HIGH_RUN.findall(sample[:-1] if len(sample) == _READ else sample)
    if all(len(run) % 2 == 0 and min(run) > 0xA0 for run in runs[:-1]):  # noqa: PLR2004
        leads = Counter(octet for run in runs for octet in run[::2])
        if codec := _extended_unix_code(leads):
            return codec
    kana = len(_SJIS_KANA.findall(sample))
    whole = sample[:-1] if _is_cut(sample) else sample
    if kana >= _PAIRS and _SHIFT_JIS.match(whole):
        return "cp932"
    if _is_common(whole, _BIG5, _BIG5_PAIR, range(0xA4, 0xC7)):
        return "big5hkscs"
    if _is_common(whole, _GBK, _GBK_PAIR, range(0xB0, 0xD8)):
        return "gb18030"
    return ""


def _is_cut(sample: bytes) -> bool:
    return len(sample) == _READ and sample[-1] > 0x7F  # noqa: PLR2004 - beyond ASCII


def _extended_unix_code(leads: Counter[int]) -> str:
    """Tell Japanese, Korean and Chinese apart by the rows they use."""
    total = leads.total()
    if total < _PAIRS:
        return ""
    if leads[0xA4] + leads[0xA5] > total / 4:
        return "euc-jp"
    hangul = sum(leads[row] for row in range(0xB0, 0xC9))
    common = sum(leads[row] for row in range(0xB0, 0xD8)) or 1
    signs = leads[0xA1] + leads[0xA3]
    if common + signs < total * 0.85:
        return ""
    # A quarter of Chinese characters stands in rows that Hangul does not use.
    return "cp949" if hangul > common * 0.97 else "gb18030"


def _is_common(
    sample: bytes, text: re.Pattern[bytes], pair: re.Pattern[bytes], rows: range
) -> bool:
    if not text.match(sample):
        return False
    pairs = [each for each in pair.findall(sample) if each[0] > 0x7F]  # noqa: PLR2004
    common = sum(1 for each in pairs if each[0] in rows)
    return len(pairs) >= _PAIRS and common > len(pairs) * 0.8


def _alphabet(sample: bytes) -> str:
    best, codec = 0.0, ""
    for candidate, frequent in _ALPHABETS.items():
        text = sample.decode(candidate, "replace")
        letters = [c for c in text.lower() if c > "\x7f" and c.isalpha()]
        if len(letters) < _LEAST_LETTERS:
            continue
        # Capitals are rare: a text that seems to shout is in another charset.
        small = sum(1 for c in text if c > "\x7f" and c.isalpha() and not c.isupper())
        share = sum(1 for c in letters if c in frequent) / len(letters)
        share *= small / len(letters)
        share -= text.count("\ufffd") / len(text)
        if share > best:
            best, codec = share, candidate
    return codec if best > 0.5 else ""  # noqa: PLR2004 - of all letters
