from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from otrsd import Envelope, HeaderField, Mail, Match, Trust

OURS = Trust(mode="above-received", mx=("mx1.example.com",))
RECEIVED = "from x by mx1.example.com; Mon, 23 Nov 2026 15:00:00 +0000"


def mail(*fields: tuple[str, str]) -> Mail:
    headers = tuple(HeaderField(name=name, value=value) for name, value in fields)
    return Mail(sha256="", size=0, headers=headers)


def envelope(**members: Any) -> Envelope:
    return Envelope(received_at=datetime(2026, 11, 23, tzinfo=UTC), **members)


@pytest.mark.parametrize(
    ("result", "proved"),
    [
        ("mx1.example.com; dkim=pass header.d=bank.example", True),
        ("mx1.example.com; spf=pass smtp.mailfrom=a@mail.bank.example", True),
        ("mx1.example.com; dmarc=pass (p=none) header.from=bank.example", True),
        ("mx1.example.com; dkim=fail header.d=bank.example", False),
        ("mx1.example.com; dkim=pass header.d=evilbank.example", False),
        ("mx1.example.com; dkim=pass header.d=bank.example.evil", False),
        ("mx9.example.com; dkim=pass header.d=bank.example", False),
        ("mx1.example.com; dkim=fail (dkim=pass header.d=bank.example)", False),
        ('mx1.example.com; spf=fail reason="; dkim=pass header.d=bank.example"', False),
        ("(mx1.example.com) evil; dkim=pass header.d=bank.example", False),
        ("", False),
    ],
)
def test_what_our_mx_has_proved(result: str, *, proved: bool) -> None:
    read = mail(("Authentication-Results", result), ("Received", RECEIVED))
    assert OURS.has_proved(read, "bank.example") is proved


def test_a_field_below_our_received_proves_nothing() -> None:
    result = "mx1.example.com; dkim=pass header.d=bank.example"
    read = mail(("Received", RECEIVED), ("Authentication-Results", result))
    assert not OURS.has_proved(read, "bank.example")


@pytest.mark.parametrize(
    "received",
    [
        "from mx1.example.com by evil.example; Mon, 23 Nov 2026 15:00:00 +0000",
        "from x (by mx1.example.com) by evil.example; Mon, 23 Nov 2026",
    ],
)
def test_a_received_field_that_only_names_our_mx_is_not_its_own(received: str) -> None:
    assert OURS.fields(mail(("X-Spam", "yes"), ("Received", received))) == ()


@pytest.mark.parametrize(
    ("match", "members", "fits"),
    [
        ({}, {}, False),
        ({"channel": "pipe"}, {"channel": "pipe"}, True),
        ({"channel": "pipe"}, {"channel": "smtp"}, False),
        ({"mail_from": "ROOT@*"}, {"mail_from": "root@a.example"}, True),
        ({"peer": "192.0.2.0/24"}, {"peer": "192.0.2.9"}, True),
        ({"peer": "192.0.2.0/24"}, {"peer": "2001:db8::1"}, False),
        ({"peer": "uid:0"}, {"peer": "uid:0"}, True),
        ({"peer": "uid:0"}, {"peer": "uid:01"}, False),
        ({"recipient": "a@x.example"}, {"rcpt_tos": ("b@x.example",)}, False),
        ({"channel": "pipe", "peer": "uid:0"}, {"channel": "pipe"}, False),
    ],
)
def test_everything_that_is_named_must_fit(
    match: dict[str, Any], members: dict[str, Any], *, fits: bool
) -> None:
    assert Match.model_validate(match).fits(envelope(**members)) is fits


@pytest.mark.parametrize("mode", ["above-received", "token"])
def test_half_a_trust_is_refused(mode: Any) -> None:
    with pytest.raises(ValidationError, match="needs '"):
        Trust(mode=mode)
