"""Group A of the hostile inputs: names and types of attachments."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otrsd.mime.filename import clean_filename
from otrsd.model.mail import Mail

Read = Callable[..., Mail]
MIXED = "Content-Type: multipart/mixed; boundary=x"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../x", "x"),
        ("C:\\x", "x"),
        ("/etc/passwd", "passwd"),
        ("a\0b", "ab"),
        ("CON", "_CON"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("~", ""),
        ("a\u2028b\uff0fc", "c"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a\r\nb.txt", "a b.txt"),
    ],
)
def test_A01_A03_names_are_cleaned(name: str, clean: str):
    assert clean_filename(name) == clean


def test_A02_long_names_keep_their_extension():
    assert clean_filename("n" * 300 + ".pdf") == "n" * 116 + ".pdf"
    assert len(clean_filename("n." + "e" * 5000)) == 120


def test_A04_a_name_over_many_lines_is_joined(read: Read):
    line = (
        "Content-Disposition: attachment; filename*1*=%2Ee; filename*0*=utf-8''x%C3%A4;"
    )
    assert read(line + ' filename*2="xe"').parts[0].filename == "xä.exe"


def test_A05_an_encoded_word_as_name_is_read(read: Read):
    line = 'Content-Disposition: attachment; filename="=?utf-8?q?K=C3=B6ln.pdf?="'
    assert read(line).parts[0].filename == "Köln.pdf"


def test_a05_a_name_is_kept_as_it_was_written_beside_the_safe_one(read: Read):
    line = 'Content-Disposition: attachment; filename="\u202egpj.exe"'
    part = read(line, "Content-Type: image/png; name=b.png").parts[0]
    assert (part.declared, part.filename) == ("\u202egpj.exe", "gpj.exe")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text/html", b"<script>alert(1)</script>"),
        ("image/svg+xml", b"<svg onload=alert(1)>"),
        ("application/zip", b"PK\x03\x04" + bytes(26)),
        ("application/x-pickle", b"cos\nsystem\n(S'x'\ntR."),
        ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x75\x30\0\0\x75\x30"),
    ],
    ids=["a06 html", "a06 svg", "a08 zip", "a09 pickle", "a11 30000 x 30000"],
)
def test_a06_a08_a09_a11_an_attachment_is_never_opened(
    read: Read, kind: str, content: bytes
):
    head = f"Content-Type: {kind}\nContent-Disposition: attachment; filename=a.b"
    body = b"--x\n\nhi\n--x\n%b\n\n%b\n--x--" % (head.encode(), content)
    mail = read(MIXED, body=body)
    assert (mail.text, mail.html) == ("hi", "")
    assert [(p.content_type, p.size) for p in mail.parts[1:]] == [(kind, len(content))]


@pytest.mark.parametrize("kind", ["text/<b>", "a/b/c", "nothing", "x\r\n y/z"])
def test_A07_a_malformed_type_is_octet_stream(read: Read, kind: str):
    assert read(f"Content-Type: {kind}").parts[0].content_type in (
        "application/octet-stream",
        "text/plain",
    )


@pytest.mark.parametrize("kind", ["'text/plain'", '"text/plain"', "text/plain (a)"])
def test_a07_a_quoted_type_is_that_type(read: Read, kind: str):
    mail = read(f"Content-Type: {kind}; charset='utf-8'", body="Köln")
    assert (mail.text, mail.parts[0].content_type) == ("Köln", "text/plain")


@pytest.mark.parametrize(
    "value",
    ['attachment filename="a.txt"', "filename = a.txt", "inline filename*=''a.txt"],
)
def test_a05_a_name_is_found_without_the_semicolon_before_it(read: Read, value: str):
    mail = read("Content-Type: application/x", f"Content-Disposition: {value}")
    assert mail.parts[0].filename == "a.txt"


def test_A10_equal_names_are_numbered(read: Read):
    part = "--x\nContent-Disposition: attachment; filename=a.txt\n\n1\n"
    mail = read(MIXED, body=part * 3)
    assert [p.filename for p in mail.parts] == ["a.txt", "a (2).txt", "a (3).txt"]
