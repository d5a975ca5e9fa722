"""Group M of the hostile inputs: structure, charsets, size."""

from __future__ import annotations

import base64
import email
import json
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from bench.hostile import MAILS, nested
from otrsd.errors import NotFoundError
from otrsd.mime.htmltext import html_to_text
from otrsd.mime.parse import parse
from otrsd.mime.parts import read_part
from otrsd.model.mail import Mail

Read = Callable[..., Mail]
MIXED = "Content-Type: multipart/mixed; boundary=x"
BASE64 = "Content-Transfer-Encoding: base64"


def test_M01_90_levels_are_read_and_3000_are_hostile():
    assert parse(nested(90)).text.strip() == "deep text"
    assert not parse(nested(90)).hostile
    assert "nested" in parse(nested(3000)).hostile


def test_M02_1500_messages_in_messages_are_hostile():
    content = b"Content-Type: message/rfc822\n\n" * 1500 + b"\nhi"
    assert "nested" in parse(content).hostile


def test_M03_500_of_30000_parts_are_kept(read: Read):
    mail = read(MIXED, body="--x\n\nhi\n" * 30_000)
    assert len(mail.parts) == 500
    assert any("500 parts" in d for d in mail.defects)


@pytest.mark.parametrize(
    "boundary", ["", '; boundary=""', "; boundary=other", "; boundary"]
)
def test_M04_text_is_found_without_a_usable_boundary(read: Read, boundary: str):
    body = "\n--x\nContent-Type: text/plain\n\nfound\n--x--\n"
    assert read(f"Content-Type: multipart/mixed{boundary}", body=body).text == "found"
    assert (
        "plain" in read(f"Content-Type: multipart/mixed{boundary}", body="plain").text
    )


def test_M04_a_body_that_is_no_text_is_body_bin(read: Read):
    part = read("Content-Type: multipart/mixed", body=b"\0\1").parts[0]
    assert (part.filename, part.is_attachment) == ("body.bin", True)


def test_M04_a_boundary_may_hold_regex_signs_and_be_a_prefix(read: Read):
    body = "--a.b\n\none\n--a.bc\nstill one\n--a.b\n\ntwo\n--a.b--\nepilogue"
    mail = read('Content-Type: multipart/mixed; boundary="a.b"', body=body)
    assert mail.text == "one\n--a.bc\nstill one\ntwo"


def test_M05_an_alternative_without_parts_is_stored(read: Read):
    body = "--x--\n"
    assert read("Content-Type: multipart/alternative; boundary=x", body=body).parts


def test_M06_an_encoded_message_is_an_attachment(read: Read):
    content = base64.encodebytes(b"Subject: inner\n\nhi").decode()
    mail = read("Content-Type: message/rfc822", BASE64, body=content)
    assert [p.is_attachment for p in mail.parts] == [True]
    assert mail.parts[0].size == len(b"Subject: inner\n\nhi")


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        ("base64", "aGVsbG8", "hello"),
        ("base64", "aGVs\n\n!!bG8=\n-- \n", "hello"),
        ("base64", "aGVsbA==bw==", "hello"),
        ("base64", "  aGVs \n\n  bG8= \n", "hello"),
        ("Base64 (RFC 2045)", "aGVsbG8=", "hello"),
        ("quoted-printable", "h=65llo=\n=", "hello"),
        ("quoted-printable", "hello=ZZ", "hello=ZZ"),
        ("quoted-printable", "hel= \t\nlo", "hello"),
        ("x-uuencode", "begin 644 a\n%:&5L;&\\\n`\nend\n", "hello"),
        ("no-such", "hello", "hello"),
    ],
)
def test_M07_broken_encodings_give_what_can_be_had(
    read: Read, encoding: str, body: str, text: str
):
    assert read(f"Content-Transfer-Encoding: {encoding}", body=body).text == text


@pytest.mark.parametrize(
    "charset",
    [
        "undefined",
        "none-such",
        "zlib",
        "unicode_escape",
        "mbcs",
        "\0",
        "punycode",
        "idna",
        "hex",
        "rot13",
        "",
        "x" * 3000,
    ],
)
def test_M08_M09_charsets_off_the_list_are_guessed(read: Read, charset: str):
    kind = f'Content-Type: text/plain; charset="{charset}"'
    assert read(kind, body="Köln").text == "Köln"
    assert read(kind, body="Köln".encode("cp1252")).text == "Köln"
    assert read(kind, body=b"K\x81").text == "K\ufffd"


def test_M08_utf7_is_never_html(read: Read):
    body = "+ADw-script+AD4-"
    assert read("Content-Type: text/plain; charset=utf-7", body=body).text == "<script>"
    assert read("Content-Type: text/html; charset=utf-7", body=body).html == body


def test_M11_external_bodies_are_only_listed(read: Read):
    kind = 'Content-Type: message/external-body; access-type=local-file; name="/etc/x"'
    mail = read(kind, body="Content-Type: text/plain\n\n")
    assert [p.filename for p in mail.parts] == ["x"]


def test_m11_parts_of_a_message_are_never_joined(read: Read):
    kind = 'Content-Type: message/partial; id="1"; number=1; total=2'
    mail = read(kind, body="Subject: inner\n\nhalf")
    assert [(p.content_type, p.is_attachment) for p in mail.parts] == [
        ("message/partial", True)
    ]


def test_M12_both_alternatives_are_kept(read: Read):
    body = "--x\n\nA\n--x\nContent-Type: text/html\n\n<p>B</p>\n--x--"
    mail = read("Content-Type: multipart/alternative; boundary=x", body=body)
    assert (mail.text, mail.html) == ("A", "<p>B</p>")


def test_M14_an_encoded_multipart_is_no_tree(read: Read):
    mail = read(MIXED, BASE64, body="--x\n\nhi\n--x--\n")
    assert [p.is_attachment for p in mail.parts] == [True]


def test_m04_an_inner_multipart_with_the_boundary_of_the_outer_one(read: Read):
    inner = "Content-Type: multipart/alternative; boundary=x\n\n--x\n\ntext\n--x--\n"
    body = f"--x\n{inner}\n--x\nContent-Type: image/png; name=a.png\n\n1\n--x--\n"
    mail = read(MIXED, body=body)
    assert "text" in mail.text
    assert [p.filename for p in mail.parts if p.is_attachment] == ["a.png"]


def test_m04_words_behind_a_delimiter_and_a_delimiter_that_got_lost(read: Read):
    assert read(MIXED, body="--x (part 1)\n\nhi\n--x-- (end)\n").text == "hi"
    lost = "Content-Type: multipart/alternative; boundary=y\nContent-Type: text/plain"
    body = f"--x\n{lost}\n\nplain\n--y\nContent-Type: text/html\n\n<p>h\n--y--\n--x--"
    assert read(MIXED, body=body).text == "plain"


def test_m07_a_footer_behind_base64_and_text_that_is_none(read: Read):
    assert read(BASE64, body="aGVsbG8=\n____\nlist footer\n").text == "hello"
    assert read(BASE64, body="it is plain text, and says so\n").text.startswith("it is")


def test_m07_transfer_encodings_as_they_are_also_written(read: Read):
    line = "Content-Transfer-Encoding: Quoted Printable"
    assert read(line, body="K=C3=B6ln").text == "Köln"


LARGE = {
    "base64": (BASE64, base64.encodebytes(bytes(6_000_000))),
    "quoted-printable": (
        "Content-Transfer-Encoding: quoted-printable",
        b"=\r\n" * 2_700_000,
    ),
    "8bit": ("Content-Transfer-Encoding: 8bit", "Grüße\n".encode() * 1_000_000),
}


@pytest.mark.parametrize("encoding", LARGE)
def test_M15_a_large_body_costs_no_memory(read: Read, encoding: str):
    content = b"%b\n\n%b" % (LARGE[encoding][0].encode(), LARGE[encoding][1])
    tracemalloc.start()
    mail = parse(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * len(content)
    assert len(mail.text) <= 256 * 1024


@pytest.mark.parametrize("line_end", [b"\r", b"\r\r\n"])
def test_M16_line_ends_of_two_minds_are_hostile(line_end: bytes):
    content = b"From: a@b\nSubject: s\n\nbody\n".replace(b"\n", line_end)
    mail = parse(content)
    assert "CR" in mail.hostile
    assert "body" in mail.text


def test_m16_lone_cr_can_be_read_by_who_judges_it():
    mail = parse(b"From: a@b.example\rSubject: s\r\rone\rtwo\r")
    assert (mail.subject, mail.text) == ("s", "one\ntwo\n")


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("ISO-2022-JP", "iso-2022-jp", "日本語"),
        ("GB2312", "gb18030", "贵公司"),
        ("ks_c_5601-1987", "cp949", "한국어"),
        ("koi8-r", "koi8-r", "Привет"),
        ("utf-16", "utf-16", "Köln"),
        ("big5", "big5", "繁體"),
    ],
)
def test_M17_declared_charsets_are_readable(
    read: Read, charset: str, codec: str, text: str
):
    kind = f"Content-Type: text/plain; charset={charset}"
    body = base64.encodebytes(text.encode(codec))
    assert read(kind, BASE64, body=body).text == text


@pytest.mark.parametrize("codec", ["utf-16be", "utf-16le"])
def test_m17_utf_16_without_a_mark_is_read_by_its_blanks(read: Read, codec: str):
    kind = "Content-Type: text/plain; charset=utf-16"
    body = base64.encodebytes("新しい本 Größe\n".encode(codec))
    assert read(kind, BASE64, body=body).text == "新しい本 Größe\n"


def test_M17_vendor_characters_in_iso_2022_jp(read: Read):
    kind = "Content-Type: text/plain; charset=iso-2022-jp"
    assert read(kind, body=b"\x1b$B-!F|K\\\x1b(Bx").text == "①日本x"


def test_parts_are_numbered_like_imap_and_read_by_path():
    inner = "Content-Type: multipart/mixed; boundary=y\n\n--y\n\na\n--y\n\nb\n--y--"
    content = f"{MIXED}\n\n--x\n{inner}\n--x\n{BASE64}\n\nYw==\n--x--".encode()
    assert [p.path for p in parse(content).parts] == ["1.1", "1.2", "2"]
    assert b"".join(read_part(content, "2")) == b"c"
    with pytest.raises(NotFoundError, match="no part '9'"):
        read_part(content, "9")


HTML = {
    "<p>a</p><p>b<br>c</p>": "a\n\nb\nc",
    "<ul><li>a<li>b</ul><ol><li>c<li>d</ol>": "- a\n- b\n\n1. c\n2. d",
    "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>": "a\tb\nc",
    '<a href="https://x.example/">here</a>!': "here <https://x.example/>!",
    "<blockquote>a<br>b</blockquote>c": "> a\n> b\n\nc",
    "<style>x</style><script>y</script>K&ouml;ln&nbsp;1": "Köln 1",
    "<pre>a\n  b</pre>": "a\n  b",
    '<img src="cid:logo@b"> <img src="http://x.example/1.gif">': "[cid:logo@b]",
}


@pytest.mark.parametrize("source", HTML)
def test_html_becomes_readable_text(source: str):
    lines = [line.rstrip() for line in html_to_text(source).splitlines()]
    assert "\n".join(lines) == HTML[source]


DEEP = {
    "divs": "<div>" * 100_000 + "x",
    "links": "<a href=x>y</a>" * 25_000,
    "comments": "<!--" * 75_000,
    "scripts": "<script" * 100_000,
    "open tags": "<a x" * 100_000,
    "formatting": "".join(f"<b id={n}>" for n in range(480)) + "<p>x</p>" * 9_000,
}


@pytest.mark.parametrize("case", DEEP)
def test_W11_html_that_would_hang_a_parser_is_only_stripped(case: str):
    started = time.process_time()
    html_to_text(DEEP[case])
    assert time.process_time() - started < 2


SAMPLE = (
    nested(3)
    + b"--b2\nContent-Type: text/html; charset=x\n\n<p>K&ouml;ln</p>\n--b1--\n"
)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_parsing_never_raises(content: bytes):
    for octets in (
        content,
        b"From: " + content,
        b"Content-Type: " + content,
        SAMPLE + content,
    ):
        mail = parse(octets)
        assert not any(
            "could not be parsed" in d or "could not be read" in d for d in mail.defects
        )
        (mail.text + mail.subject + mail.html).encode()


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_mutated_mails_never_raise(chance: random.Random):
    octets = bytearray(SAMPLE * 2)
    for _ in range(chance.randrange(1, 20)):
        octets[chance.randrange(len(octets))] = chance.choice(b'\r\n:;"<>=?-\0\xff @')
    mail = parse(bytes(octets))
    assert not any(
        "could not be parsed" in d or "could not be read" in d for d in mail.defects
    )


def test_the_corpus_is_read_like_the_standard_library_reads_it(corpus: Path):
    lines = (corpus / "expected.jsonl").read_text("utf-8").splitlines()
    files = [c["file"] for c in map(json.loads, lines) if c["input"] == "message"]
    agreed = 0
    sample = files[:: max(len(files) // 400, 1)]
    for name in sample:
        content = (corpus / name).read_bytes()
        started = time.process_time()
        mail = parse(content)
        assert time.process_time() - started < 5, name
        assert not any(
            "could not be parsed" in d or "could not be read" in d for d in mail.defects
        ), name
        agreed += [p.content_type for p in mail.parts] == _standard_types(content)
    assert agreed >= 0.9 * len(sample)


def _standard_types(content: bytes) -> list[str]:
    """Return the types of the leaves that compat32 finds."""
    types: list[str] = []
    waiting = [email.message_from_bytes(content)]
    while waiting:
        message = waiting.pop()
        if message.get_content_maintype() == "multipart" and message.is_multipart():
            waiting.extend(reversed(message.get_payload()))  # type: ignore[arg-type]  # it is a list here
        else:
            types.append(message.get_content_type())
    return types


@pytest.mark.slow
@pytest.mark.parametrize("name", MAILS)
def test_no_hostile_mail_within_the_limits_takes_a_second(name: str):
    content = MAILS[name]()
    started = time.process_time()
    parse(content)
    assert time.process_time() - started < 1
