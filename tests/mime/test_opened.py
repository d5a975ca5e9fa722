"""What is opened: messages within, winmail.dat, files in a text, invitations."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from otrsd.errors import NotFoundError
from otrsd.mime.parse import parse
from otrsd.mime.parts import read_part
from otrsd.mime.tnef import open_tnef
from otrsd.model.mail import Mail

Read = Callable[..., Mail]
MIXED = "Content-Type: multipart/mixed; boundary=x"
UU = "begin 644 hello.txt\n%:&5L;&\\\n`\nend\n"


def attribute(name: int, data: bytes) -> bytes:
    return struct.pack("<BII", 2, name, len(data)) + data + b"\0\0"


def prop(kind: int, name: int, data: bytes) -> bytes:
    padded = data + bytes(-len(data) % 4)
    return struct.pack("<HHII", kind, name, 1, len(data)) + padded


def winmail(*attributes: bytes) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


#: One file under its short name and its long one, and a body in HTML.
WINMAIL = winmail(
    attribute(0x00069007, struct.pack("<I", 1252)),
    attribute(
        0x00069003,
        struct.pack("<I", 1) + prop(0x102, 0x1013, b"<p>Gr\xc3\xbc\xc3\x9fe"),
    ),
    attribute(0x00069002, bytes(14)),
    attribute(0x00018010, b"LONGNA~1.PDF\0"),
    attribute(0x0006800F, b"%PDF"),
    attribute(
        0x00069005,
        struct.pack("<I", 2)
        + struct.pack("<HHI", 3, 0x0E20, 4)
        + prop(0x1F, 0x3707, "Größe.pdf\0".encode("utf-16-le")),
    ),
)


def attachments(mail: Mail) -> list[tuple[str, str, str]]:
    return [(p.path, p.filename, p.within) for p in mail.parts if p.is_attachment]


def octets(content: bytes, path: str) -> bytes:
    return b"".join(read_part(content, path))


def test_m13_a_winmail_dat_is_opened():
    content = b"Content-Type: application/ms-tnef; name=winmail.dat\n\n" + WINMAIL
    mail = parse(content)
    assert attachments(mail) == [("1", "winmail.dat", ""), ("1~2", "Größe.pdf", "1")]
    assert mail.text == "Grüße"
    assert octets(content, "1~2") == b"%PDF"


def test_m13_a_winmail_dat_under_a_vague_type_is_opened(read: Read):
    mail = read(
        'Content-Type: application/octet-stream; name="WINMAIL.DAT"', body=WINMAIL
    )
    assert [p.content_type for p in mail.parts][1:] == ["text/html", "application/pdf"]


def test_m13_text_beside_a_winmail_dat_stays_the_text(read: Read):
    body = (
        b"--x\n\nplain\n--x\nContent-Type: application/ms-tnef\n\n%b\n--x--" % WINMAIL
    )
    assert read(MIXED, body=body).text == "plain"


@pytest.mark.parametrize("length", range(0, len(WINMAIL), 7))
def test_m13_a_winmail_dat_that_is_cut_gives_what_is_there(length: int):
    assert len(open_tnef(WINMAIL[:length])) <= 2


def test_m13_what_is_no_winmail_dat_stays_an_attachment(read: Read):
    mail = read("Content-Type: application/ms-tnef; name=a.dat", body="junk")
    assert attachments(mail) == [("1", "a.dat", "")]
    assert "a winmail.dat could not be opened" in mail.defects


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("application/pkcs7-mime; name=smime.p7m", "smime.p7m"),
        ("application/pgp-encrypted; name=version.asc", "version.asc"),
        ("text/calendar; name=invite.ics", "invite.ics"),
        ("text/x-amp-html; name=page.html", "page.html"),
    ],
)
def test_m13_special_parts_are_attachments(read: Read, kind: str, name: str):
    part = f"--x\n\nhello\n--x\nContent-Type: {kind}\n\nevil\n--x--"
    mail = read(MIXED, body=part)
    assert (mail.text, mail.html) == ("hello", "")
    assert attachments(mail) == [("2", name, "")]


def test_m13_an_invitation_is_shown_and_not_acted_on(read: Read):
    calendar = (
        "BEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VTIMEZONE\nDTSTART:19700101T000000\n"
        "END:VTIMEZONE\nBEGIN:VEVENT\nDTSTART;TZID=Europe/Berlin:20261124T100000\n"
        "SUMMARY:Server\\, and\n  more\nORGANIZER;CN=Kim:mailto:kim@customer.example\n"
        "END:VEVENT\nEND:VCALENDAR\n"
    )
    mail = read("Content-Type: text/calendar; method=REQUEST", body=calendar)
    assert mail.text.splitlines() == [
        "Calendar: REQUEST",
        "Start: 2026-11-24 10:00 Europe/Berlin",
        "Summary: Server, and more",
        "Organizer: kim@customer.example",
    ]


INNER = (
    "From: a@b.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=: all/none\n"
    "Content-Type: multipart/mixed; boundary=y\n\n"
    "--y\n\ninner text\n--y\nContent-Type: image/gif; name=a.gif\n\nGIF\n--y--\n"
)


def test_a_message_within_is_listed_under_its_subject_with_its_attachments():
    content = (
        f"{MIXED}\n\n--x\n\nsee\n--x\nContent-Type: message/rfc822\n\n{INNER}\n--x--"
    )
    mail = parse(content.encode())
    assert mail.text == "see"
    assert attachments(mail) == [
        ("2", "Grüße_ all-none.eml", ""),
        ("2.2", "a.gif", "2"),
    ]
    assert parse(octets(content.encode(), "2")).text == "inner text"
    assert octets(content.encode(), "2.2") == b"GIF"


def test_m07_files_written_into_a_text_are_listed_and_leave_their_line():
    content = f"Subject: s\n\nHello.\n\n{UU}\nBye.\n".encode()
    mail = parse(content)
    assert mail.text == "Hello.\n\nbegin 644 hello.txt\n\nBye.\n"
    assert attachments(mail) == [("1~1", "hello.txt", "1")]
    assert octets(content, "1~1") == b"hello"


def test_m07_yenc_is_read():
    data = bytes((octet + 42) % 256 for octet in b"hello") + b"=}"
    content = b"\n=ybegin line=128 size=6 name=a.bin\n%b\n=yend size=6\nbye\n" % data
    assert octets(content, "1~1") == b"hello\x13"
    assert parse(content).text.endswith("name=a.bin\nbye\n")


@pytest.mark.parametrize(
    "text",
    [
        "begin 644 the work today, and tell me\nwhat you think.\n",
        "begin 644\n",
        "=ybegin line=1 size=1 name=a\nnever ends\n",
    ],
)
def test_m07_what_only_looks_like_a_file_stays_text(read: Read, text: str):
    mail = read(body=text)
    assert (mail.text, attachments(mail)) == (text, [])


def test_a_path_that_is_not_there_is_said():
    for path in ("1~1", "1~", "1~x", "1~99999999999", "~1"):
        with pytest.raises(NotFoundError, match="no part"):
            read_part(b"Subject: s\n\nhello", path)


def test_inline_images_are_listed_with_the_id_that_the_text_uses(read: Read):
    image = "Content-Type: image/png\nContent-ID: <logo@b>\nContent-Disposition: inline"
    page = 'Content-Type: text/html\n\n<p>Hi <img src="cid:logo@b" alt="our logo"></p>'
    mail = read(
        "Content-Type: multipart/related; boundary=x",
        body=f"--x\n{page}\n--x\n{image}\n\nPNG\n--x--",
    )
    assert mail.text == "Hi [our logo]"
    assert [p.content_id for p in mail.parts] == ["", "logo@b"]


def test_a_text_with_a_name_is_shown_where_there_is_no_other_and_listed(read: Read):
    named = 'Content-Type: text/plain; name="log.txt"\n\nlog'
    assert read(MIXED, body=f"--x\n\nhi\n--x\n{named}\n--x--").text == "hi"
    alone = read(MIXED, body=f"--x\n{named}\n--x--")
    assert (alone.text, attachments(alone)) == ("log", [("1", "log.txt", "")])


def test_an_enriched_text_is_shown_without_its_marks(read: Read):
    body = "<bold>Now</bold> is <<here>\n<color><param>red</param>red</color>\n\nend\n"
    text = read("Content-Type: text/enriched", body=body).text
    assert text.split("\n") == ["Now is <here> red", "end "]


def test_an_empty_part_is_listed(read: Read):
    empty = "--x\nContent-Type: image/png; name=a.png\n\n--x\n\nhi\n--x--"
    assert [p.size for p in read(MIXED, body=empty).parts] == [0, 2]


def test_a_message_within_whose_multipart_has_no_parts_keeps_its_own_number():
    octets = (
        b"Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n"
        b"\n\0no delimiter at all\n"
    )
    mail = parse(octets)
    assert [part.path for part in mail.parts] == ["1", "1.1"]
    sizes = [sum(map(len, read_part(octets, part.path))) for part in mail.parts]
    assert sizes == [part.size for part in mail.parts]
