"""Where fuzzing starts: small inputs of every shape, and words that matter.

An input that a fuzzer found stands here once it is mended, so that it stays so.
"""

from __future__ import annotations

from collections.abc import Mapping

_PLAIN = b"""From: Kim <kim@customer.example>
To: support@example.com
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?B?5Q==?=
Message-ID: <1@customer.example>
Date: Mon, 23 Nov 2026 10:00:00 +0000
References: <0@customer.example> <1@x.example>

It burns.
"""
_MIXED = b"""Subject: two parts
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x y"

preamble
--x y
Content-Type: multipart/alternative; boundary=z

--z
Content-Type: text/plain; charset=utf-7
Content-Transfer-Encoding: quoted-printable

a=3Db=
c
--z
Content-Type: text/html; charset="utf-8"

<p>a<b>b</p><a href="https://x.example">c</a>
--z--
--x y
Content-Type: image/png; name*0*=utf-8''a%20; name*1="b.png"
Content-Disposition: attachment; filename="=?utf-8?b?Li4vYQ==?="
Content-Transfer-Encoding: base64
Content-ID: <i@x.example>

/9j/4AAQ
--x y
Content-Type: message/rfc822

Subject: inside

deep
--x y
Content-Transfer-Encoding: x-uuencode

begin 644 a.txt
#0V%T
`
end
--x y--
"""
_REPORT = b"""From: Mail Delivery System <MAILER-DAEMON@mx.example>
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

<kim@customer.example>: host mx.example said: 550 5.1.1 User unknown
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Arrival-Date: Mon, 23 Nov 2026 10:00:00 +0000

Final-Recipient: rfc822; kim@customer.example
Original-Recipient: rfc822;kim@customer.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown
--b
Content-Type: text/rfc822-headers

Message-ID: <otrsd.1.abc@example.com>
--b--
"""
_LETTER = b"""From: postmaster@mx.example
Subject: failure notice
Return-Path: <>
Precedence: bulk

Hi. This is the qmail-send program at mx.example.
<kim@customer.example>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Message-ID: <1@example.com>
"""

#: What was found once.
_FOUND = (
    b"Subject: =?utf-8?b?L\x954vYQ==?=\n\n",
    b"Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B\xff\xff",
)

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "parse": (
        _PLAIN,
        _MIXED,
        _REPORT,
        _PLAIN.replace(b"\n", b"\r\n"),
        b"",
        b"\n\nx",
        *_FOUND,
    ),
    "addresses": (
        b"Kim <kim@customer.example>",
        b'"a, b" <a@b.example>, c@d.example (e (f) g), h: i@j.example;',
        b"=?utf-8?q?M=C3=BCller=2C_Hans?= <h@m\xc3\xbcller.example>",
        b'"a\\"b"@c.example, <@x.example:y@z.example>, a@[192.0.2.1]',
        b"alice@example.org)bob@evil.example, <a@b>@c, \xff@d.example",
    ),
    "bounce": (
        _REPORT,
        _LETTER,
        _PLAIN.replace(b"To:", b"Auto-Submitted: vacation\nTo:"),
    ),
    "html": (
        b"<p>a<b>b</p><ul><li>c<li>d</ul><table><tr><td>e<td>f</table>",
        b"<blockquote><blockquote>q</blockquote></blockquote><pre> x\n  y </pre>",
        b'<a href="https://x.example">y</a><img alt=z><br>&#0;&nbsp;<!-- a --><script>',
        b"<style>a{}</style><svg><title>t</title></svg><hr><ol><ol><li></ol>\0<plaintext>",
    ),
    "names": (
        b'filename="../../etc/passwd"; name=con.txt',
        b"filename*=utf-8''a%2f%E2%80%AEgpj.exe; filename*0*=''x; filename*1=y",
        b"=?utf-8?b?Li4vYQ==?= =?utf-8?q?=00=0D.pdf?=",
        b'filename="' + b"a" * 130 + b'. .tar.gz"',
    ),
    "quotes": (
        b"Yes.\n\nOn 3 May 2024, Bob <b@x.example> wrote:\n> a\n>> b\n\nNo.\n-- \nA\n",
        b"Ja.\n\nVon: A <a@b.example>\nGesendet: 3. Mai\nAn: B\nBetreff: C\n\nalt\n",
        b"-----Original Message-----\nFrom: a\nTo: b\nSubject: c\n\nold",
        b"x\n____________\nusers mailing list\n*****\nconfidential\n*****\n",
        "Le 3 mai 2024, A <\na@b.example\n> a écrit :\n> q\n".encode(),
        b"1 Mar 2024 10:11 A <a@b.example\n>:\n> Begin forwarded message:\n",
    ),
}

#: Put into inputs whole: what a random octet seldom makes.
WORDS: Mapping[str, tuple[bytes, ...]] = {
    "parse": (
        *(
            b"\nContent-Type: ",
            b"multipart/mixed; boundary=x\n\n",
            b"\n--x\n",
            b"\n--x--",
        ),
        *(b"message/rfc822\n\n", b"Content-Transfer-Encoding: base64\n", b"=?utf-8?b?"),
        *(
            b"charset=",
            b"\r\n\r\n",
            b"From ",
            b"begin 644 a\n",
            b"\0",
            b"iso-2022-jp",
            b"?=",
        ),
    ),
    "addresses": (
        b"<",
        b">",
        b'"',
        b"@",
        b"(",
        b")",
        b",",
        b";",
        b":",
        b"\\",
        b"=?utf-8?q?",
    ),
    "bounce": (
        b"Final-Recipient: rfc822;",
        b"Status: 5.",
        b"\n--b\n",
        b"message/",
        b"\n\n",
    ),
    "html": (
        b"<p>",
        b"</p>",
        b"<blockquote>",
        b"<li>",
        b"<td>",
        b"<!--",
        b"&#",
        b"<pre>",
        b"\n",
    ),
    "names": (
        b"filename*0*=",
        b"''",
        b"%2e%2e%2f",
        b"=?utf-8?b?",
        b"?=",
        b";",
        b'"',
        b"\xe2\x80\xae",
    ),
    "quotes": (
        *(
            b"\n",
            b"\n> ",
            b" wrote:\n",
            b"On 1.2.2024 10:11 ",
            b"<a@b.example>",
            b":\n",
            b"\n-- \n",
        ),
        *(
            b"From: a\n",
            b"Subject: b\n",
            b"Date: c\n",
            b"To: d\n",
            b"\n____________\n",
            b"\n\n",
        ),
        *(
            b"-----Original Message-----\n",
            b"Sent from my iPhone\n",
            b"confidential",
            b"\n>:\n",
        ),
    ),
}
