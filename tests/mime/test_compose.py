from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st

from otrsd.mime.compose import (
    REFERENCES_LIMIT,
    SUBJECT_LIMIT,
    ComposeError,
    Letter,
    compose,
    header_text,
    sealed,
    sendable,
)
from otrsd.mime.parse import parse
from otrsd.model.mail import Address, Mail

PLAIN = Letter(
    sender=Address(name="Example Support", address="support@example.com"),
    to=(Address(name="Kim", address="kim@customer.example"),),
    subject="[Ticket#2026112310000011] Re: Printer",
    text="Please restart it.\n",
    date=datetime(2026, 11, 23, 10, tzinfo=UTC),
)


def composed(**changes: object) -> Mail:
    return parse(compose(replace(PLAIN, **changes)))  # type: ignore[arg-type]


def header(octets: bytes) -> list[str]:
    return octets.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")


def test_a_mail_is_what_was_meant():
    mail = composed()
    assert mail.author is not None
    assert (mail.author.address, mail.to) == ("support@example.com", PLAIN.to)
    assert (mail.subject, mail.text.strip()) == (PLAIN.subject, "Please restart it.")
    assert mail.date == PLAIN.date
    assert mail.defects == ()


def test_the_whole_header_of_an_automatic_mail():
    letter = replace(
        PLAIN,
        in_reply_to="<2@customer.example>",
        references=("<1@customer.example>",),
        automatic="auto-replied",
        loop="support@example.com",
        reply_to=Address(address="support+r.1.abc@example.com"),
        language="en",
    )
    octets = sealed(compose(letter), "<otrsd.1.abcdefghijklmnop@example.com>")
    assert header(octets) == [
        "Message-ID: <otrsd.1.abcdefghijklmnop@example.com>",
        "In-Reply-To: <2@customer.example>",
        "References: <1@customer.example>",
        " <2@customer.example>",
        "Date: Mon, 23 Nov 2026 10:00:00 +0000",
        "From: Example Support <support@example.com>",
        "To: Kim <kim@customer.example>",
        "Reply-To: support+r.1.abc@example.com",
        "Subject: [Ticket#2026112310000011] Re: Printer",
        "Auto-Submitted: auto-replied",
        "Precedence: bulk",
        "X-Auto-Response-Suppress: All",
        "X-Otrsd-Loop: support@example.com",
        'Content-Type: text/plain; charset="us-ascii"',
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
        "Content-Language: en",
    ]


HOSTILE = (
    "x\r\nBcc: victim@example.org",
    "x\nBcc: victim@example.org",
    "x\rBcc: victim@example.org",
    "x\0y\x1b[2J",
    "=?utf-8?q?x=0D=0ABcc=3A_victim@example.org?=",
    "x\u2028Bcc: victim@example.org\x85Bcc: v@example.org",
    "\u202egnp.exe",
    "a" * 5000,
    "ä" * 400 + ", <v@example.org>",
    'Müller, "Hans" (the boss) <v@example.org>; group: a@b, c@d;',
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_makes_a_header_field(text: str):
    name = Address(name=text, address="kim@customer.example")
    octets = compose(replace(PLAIN, subject=text, to=(name,), sender=PLAIN.sender))
    names = [line.partition(":")[0] for line in header(octets) if line[0] != " "]
    assert "Bcc" not in names
    assert len(names) == len(set(names))
    assert [each.address for each in parse(octets).to] == ["kim@customer.example"]


def readable(text: str) -> str:
    """Return a text as every mail program can show it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode()


@settings(deadline=None, max_examples=150)
@given(subject=st.text(), name=st.text(), text=st.text())
def test_any_text_comes_back_as_it_was_meant(subject: str, name: str, text: str):
    to = Address(name=name, address="kim@customer.example")
    octets = compose(replace(PLAIN, subject=subject, to=(to,), text=text))
    mail = parse(octets)
    assert mail.subject == header_text(subject)[:SUBJECT_LIMIT].strip()
    assert mail.text.rstrip("\n") == readable(text).rstrip("\n")
    # The standard library loses blanks where it folds a name (gh-80222).
    (shown,) = (each.name.replace(" ", "") for each in mail.to)
    assert shown == header_text(name)[:120].replace(" ", "")
    assert (mail.author, mail.date) == (PLAIN.sender, PLAIN.date)
    assert max(map(len, octets.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "address",
    [
        "kim@x.example\r\nRCPT TO:<v@example.org>",
        "kim@x.example>",
        "<kim@x.example",
        "kim kim@x.example",
        "kim@x.example@y.example",
        '"kim\\"@x.example',
        "kim@",
        "@x.example",
        "",
        "kim@x..example",
        ".kim@x.example",
        "kim@-x.example",
        "ki\u0131m@x.example",
        "k" * 65 + "@x.example",
        "kim\0@x.example",
        "kim@[127.0.0.1]",
    ],
)
def test_such_an_address_is_not_written_to(address: str):
    assert sendable(address) == ""
    with pytest.raises(ComposeError):
        compose(replace(PLAIN, to=(Address(address=address),)))


def test_a_domain_in_another_script_is_written_in_ascii():
    assert sendable("kim@bücher.example") == "kim@xn--bcher-kva.example"
    assert composed(to=(Address(address="kim@bücher.example"),)).to[0].domain


def test_the_thread_is_short_and_ids_are_never_encoded():
    long = f"<{'a' * 200}@customer.example>"
    many = [f"<{n}@customer.example>" for n in range(100)]
    octets = compose(replace(PLAIN, references=(*many, "<bad id>"), in_reply_to=long))
    mail = parse(octets)
    assert mail.references[0] == long
    assert len(mail.references) == REFERENCES_LIMIT
    assert many[0] in mail.references
    assert b"=?" not in octets


def test_a_message_id_is_only_ever_one():
    with pytest.raises(ComposeError):
        sealed(compose(PLAIN), "<a@b>\r\nBcc: <v@example.org>")


def test_text_in_any_script_goes_in_seven_bits():
    octets = compose(replace(PLAIN, text="Grüße\r\nvon\n.\nFrom hier\n" + "x" * 3000))
    assert octets.isascii()
    assert parse(octets).text.startswith("Grüße\nvon\n.\nFrom hier\nxxx")
