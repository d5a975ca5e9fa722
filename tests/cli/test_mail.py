"""otrsd mail: what otrsd reads in a mail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Golden, Otrsd

MAIL = b"""From: Kim <kim@customer.example>
To: help@desk.example
Subject: two\x1b[31m files
Date: Mon, 23 Nov 2026 10:00:00 +0100
Content-Type: multipart/mixed; boundary=x

--x

Hello \x1b]0;evil\x07
--x
Content-Type: image/png
Content-ID: <logo>
Content-Disposition: inline; filename="../logo.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--x
Content-Type: text/x
Content-Disposition: attachment; filename=~

y
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mail"
    path.write_bytes(MAIL)
    return str(path)


def test_header_text_parts_and_defects_are_shown(
    otrsd: Otrsd, file: str, golden: Golden
):
    golden("mail-show", otrsd("mail", "show", file).out)


def test_nothing_in_a_mail_steers_a_terminal(otrsd: Otrsd, file: str):
    ran = otrsd("mail", "show", file, "--headers")
    assert "\x1b" not in ran.out
    assert "two\\x1b[31m files" in ran.out


def test_one_part_is_written_as_it_is(otrsd: Otrsd, file: str):
    assert otrsd("mail", "show", file, "--part", "3").out == "y\n"
    ran = otrsd("mail", "show", file, "--part", "9")
    assert (ran.code, "no part '9'" in ran.err) == (3, True)


def test_as_json_it_has_the_keys_of_the_report(otrsd: Otrsd, file: str):
    told = otrsd("mail", "show", file, "--json").json
    assert (told["file"], told["from_addr"]) == (file, "kim@customer.example")
    assert [a["filename"] for a in told["attachments"]] == ["../logo.png", "~"]


def test_a_file_that_is_not_there_is_one_line_of_advice(otrsd: Otrsd):
    ran = otrsd("mail", "show", "/no/such/mail")
    assert ran.code != 0
    assert "/no/such/mail: the file can't be read: No such file" in ran.err
