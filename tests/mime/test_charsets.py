"""Charsets: under which names they are known, and which are guessed."""
# ruff: noqa: RUF001 - letters of other alphabets are what this is about

from __future__ import annotations

import pytest

from otrsd.mime.charset import codec_of, decode
from otrsd.mime.fields import decode_words

RUSSIAN = "Добрый день! Прошу выслать счёт за ноябрь."
GREEK = "Καλημέρα σας, θα ήθελα να ρωτήσω για την παραγγελία"
JAPANESE = "いつもお世話になっております。株式会社の田中です。"


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("ISO-8859-1", "cp1252"),
        ("iso8859-15", "iso-8859-15"),
        ("ISO_8859-1:1987", "cp1252"),
        ("8859-2", "iso-8859-2"),
        ("iso-8859-8-i", "iso-8859-8"),
        ("windows1251", "cp1251"),
        ("x-cp1250", "cp1250"),
        ("CP936", "gb18030"),
        ("utf-8 (Unicode)", "utf-8"),
        ("'utf-8'", "utf-8"),
        ("iso-gb2312", "gb18030"),
        ("cp1252, utf-8", "cp1252"),
        ("cp037", ""),
        ("cp99999", ""),
        ("iso-8859-99", ""),
        ("x-user-defined", ""),
    ],
)
def test_m08_charsets_are_known_under_the_names_that_mailers_write(
    declared: str, codec: str
):
    assert codec_of(declared) == codec


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp866"),
        (GREEK, "iso-8859-7"),
        ("שלום רב, אני מבקש לקבל מידע על ההזמנה", "cp1255"),
        ("贵公司负责人经理财务您好本公司有独立税务专业人员", "gb18030"),
        ("您好,我們公司需要您的協助,請盡快回覆這封郵件,謝謝", "big5"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "iso-2022-jp"),
        ("안녕하세요. 문의드립니다. 빠른 답변 부탁드리겠습니다.", "euc-kr"),
        ("Grüße aus München, schöne Äpfel", "cp1252"),
        ("Été à la forêt, ça coûte très cher", "cp1252"),
    ],
)
def test_m17_a_text_without_a_charset_is_readable(text: str, codec: str):
    assert decode(text.encode(codec)) == text


@pytest.mark.parametrize("declared", ["iso-8859-1", "us-ascii", "windows-1252", ""])
def test_m17_utf_8_under_a_false_name_is_readable(declared: str):
    assert decode("Grüße – 日本".encode(), declared) == "Grüße – 日本"


def test_m08_a_text_that_was_cut_keeps_its_charset():
    assert decode("Привет, мир".encode()[:-1]) == "Привет, ми\ufffd"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("=?utf-8?Q?what??= now", "what? now"),
        ("=?utf-8?Q?a b?=", "a b"),
        ("=?UTF-8?B?w6TDtsO8", "äöü"),
        ("=?utf-8?b?w6T?= =?utf-8?b?DtsO8?=", "äöü"),
        ("=?utf-8?b?w6Q?= =?utf-8?b?w7Y?=", "äö"),
        ("=?utf-8*de?q?=C3=A4?=", "ä"),
        ("=?utf-8?q?abc =?utf-8?q?def?=", "=?utf-8?q?abc def"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
    ],
)
def test_h20_encoded_words_as_encoders_really_write_them(written: str, text: str):
    assert decode_words(written) == text


def test_m17_octets_that_no_iso_2022_has_are_read_over():
    assert decode(b'\x1b$B\xff\xff$"\xa1', "iso-2022-jp").endswith("あ")
