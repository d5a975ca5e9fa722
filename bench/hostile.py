"""Mails that cost a careless reader a second, a gigabyte or its life.

Made from their descriptions (groups H, M and W of the hostile inputs), each as large
as the limits of a mail let it be, within reason. Name → what makes the mail.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

_MIXED = b"Content-Type: multipart/mixed; boundary=x\n\n"
_HTML = b"Content-Type: text/html\n\n"
#: The largest mail that is accepted (reliability §5).
MAIL_OCTETS = 25 * 1024 * 1024


def nested(levels: int) -> bytes:
    """Make a multipart in a multipart, and so on."""
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n)
        for n in range(levels)
    )
    return opening + b"\ndeep text\n"


def _encoded(encoding: bytes, body: bytes, kind: bytes = b"text/plain") -> bytes:
    fields = b"Content-Type: %b\nContent-Transfer-Encoding: %b\n\n" % (kind, encoding)
    return fields + body[: MAIL_OCTETS - len(fields)]


def _fitting(content: bytes, times: int) -> bytes:
    return (content * times)[:MAIL_OCTETS]


MAILS: Mapping[str, Callable[[], bytes]] = {
    "H09 addresses": lambda: b"To: " + b"a@b.example," * 20_000 + b"\n\n",
    "H10 comments": lambda: b"From: " + b"(" * 120_000 + b")" * 120_000 + b" a@b\n\n",
    "H11 groups": lambda: b"From: " + b"g:" * 120_000 + b"\n\n",
    "H12 encoded words": lambda: b"Subject: " + b"=?utf-8?q?aa?= " * 17_000 + b"\n\n",
    "H13 header lines": lambda: b"A: b\n" * 60_000 + b"\n",
    "H13 one field": lambda: b"A: " + b"x" * 4_000_000 + b"\n\n",
    "H13 folds": lambda: b"Subject: a" + b"\n b" * 40_000 + b"\n\n",
    "H14 dots": lambda: b"From: " + b"." * 250_000 + b" <a@b>\n\n",
    "H16 form feeds": lambda: b"From: " + b"\x0c" * 250_000 + b"text\n\n",
    "H26 idna": lambda: b"From: a@xn--" + b"a-" * 120_000 + b"\n\n",
    "H27 references": lambda: b"References: " + b"<a@b> " * 40_000 + b"\n\n",
    "M01 multiparts, 90 deep": lambda: nested(90),
    "M01 multiparts, 3,000 deep": lambda: nested(3000),
    "M02 messages in messages": lambda: b"Content-Type: message/rfc822\n\n" * 30_000,
    "M03 parts": lambda: _MIXED + _fitting(b"--x\n\nhi\n", 3_000_000),
    "M04 false delimiters": lambda: _MIXED + _fitting(b"--xy\n", 5_000_000),
    "M04 unending boundary": lambda: (
        (b'Content-Type: multipart/mixed; boundary="' + b"-" * 2000 + b'"\n\n')
        + _fitting(b"-", MAIL_OCTETS)
    ),
    "M07 broken base64": lambda: _encoded(b"base64", b"ab=\n" * 6_000_000),
    "M07 uuencode": lambda: b"\n" + _fitting(b"begin 644 a\n#86)C\nend\n", 1_200_000),
    "M07 uuencode without end": lambda: b"\n" + _fitting(b"begin 644 a\n", 2_000_000),
    "M07 yEnc without end": lambda: b"\n" + _fitting(b"=ybegin name=a\n", 1_600_000),
    "M08 charset": lambda: _encoded(
        b"8bit", b"\x81\xfe" * 12_000_000, b"text/plain; charset=nonesuch"
    ),
    "M15 zeros in base64": lambda: _encoded(
        b"base64", base64.encodebytes(bytes(18_000_000)), b"application/x"
    ),
    "M15 soft line breaks": lambda: _encoded(b"quoted-printable", b"=\r\n" * 8_700_000),
    "M15 8-bit text": lambda: _encoded(b"8bit", "Grüße\n".encode() * 3_200_000),
    "M18 blanks": lambda: _fitting(b"\n" + b" " * 50_000 + b"a", 500),
    "W11 open divs": lambda: _HTML + b"<div>" * 200_000,
    "W11 links": lambda: _HTML + b"<a href=x>y</a>" * 65_000,
    "W11 comments": lambda: _HTML + b"<!--" * 250_000,
    "W11 tables": lambda: _HTML + b"<table><tr><td>" * 6_000,
    "W11 open formatting": lambda: (
        _HTML + b"".join(b"<b id=%d>" % n for n in range(480)) + b"<p>x</p>" * 9_000
    ),
}
