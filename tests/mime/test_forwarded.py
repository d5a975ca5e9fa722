"""Who wrote what somebody forwards."""

from __future__ import annotations

import pytest

from otrsd.mime.forwarded import original_author
from otrsd.mime.subject import forwarded_subject
from otrsd.testing import mail_octets

BLOCKS = {
    "Thunderbird": """FYI

-------- Forwarded Message --------
Subject: \tPrinter
Date: \tMon, 23 Nov 2026 10:00:00 +0100
From: \tKim, Kunde <kim@customer.example>
To: \tjoe@example.com
""",
    "Gmail": """---------- Forwarded message ---------
From: *Kim* <kim@customer.example>
Date: Mon, Nov 23, 2026 at 10:00 AM
Subject: Printer
To: <joe@example.com>
""",
    "Apple": """Begin forwarded message:

> From: Kim <kim@customer.example>
> Subject: Printer
> Date: 23. November 2026
> To: joe@example.com
""",
    "Outlook": """________________________________
Von: Kim Kunde [mailto:kim@customer.example]
Gesendet: Montag, 23. November 2026 10:00
An: Joe
Betreff: Drucker
""",
    "French": """De : Kim <kim@customer.example<mailto:kim@customer.example>>
Envoyé : lundi 23 novembre 2026
À : Joe
Objet\u00a0: Imprimante
""",
    "Spanish": """De: kim@customer.example
Enviado el: lunes
Para: Joe
Asunto: Impresora
""",
    "Italian": """*Da:* Kim (kim@customer.example)
*Inviato:* lunedì
*A:* Joe
*Oggetto:* Stampante
""",
}


@pytest.mark.parametrize("client", BLOCKS)
def test_B24_a_quoted_header_block_names_the_author(client: str):
    found = original_author(b"", BLOCKS[client])
    assert found is not None
    assert found.address == "kim@customer.example"


@pytest.mark.parametrize(
    "text",
    [
        "From: here on it is easy.\nTo: be or not.\n",
        "From: Kim\nDate: today\nTo: Joe\n\n" + BLOCKS["Gmail"],
        "From: a@x.example, <b@x.example> <c@x.example>\nDate: x\nTo: y\n",
        "From: <a@x)b@evil.example>\nDate: x\nTo: y\n",
        "From: \nDate: x\nTo: y\n",
        ">" * 60_000 + "From",
        "*" * 60_000 + "From",
        "From: <" * 9_000,
    ],
)
def test_no_block_and_no_single_address_names_nobody(text: str):
    assert original_author(b"", text) is None


def enclosing(*messages: str) -> bytes:
    parts = [f"--b\nContent-Type: message/rfc822\n\n{each}\n" for each in messages]
    body = "--b\n\nSee below.\n" + "".join(parts) + "--b--\n"
    return mail_octets(body, Content_Type="multipart/mixed; boundary=b")


def test_B24_the_enclosed_message_names_the_author():
    inner = "From: =?utf-8?q?Kim?= <kim@customer.example>\nSubject: x\n\nHello"
    found = original_author(enclosing(inner), BLOCKS["Gmail"].replace("kim@", "eve@"))
    assert found is not None
    assert found.address == "kim@customer.example"
    assert original_author(enclosing(inner, inner.replace("kim", "lee")), "") is None


@pytest.mark.parametrize(
    ("subject", "rest"),
    [
        ("Fwd: Printer", "Printer"),
        ("WG: AW: Drucker", "Drucker"),
        ("TR : Imprimante", "Imprimante"),
        ("RV: Impresora", "Impresora"),
        ("I: Stampante", "Stampante"),
        ("Fw: [Ticket#42] Fwd: Printer", "Printer"),
        ("Fwd:", ""),
        ("I:" * 499, ""),
        ("Re: Fwd: Printer", None),
        ("Forward: march", None),
        ("Printer", None),
    ],
)
def test_B24_a_forward_is_known_by_its_subject(subject: str, rest: str | None):
    assert forwarded_subject(subject, "Ticket#") == rest
