from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otrsd.testing import Site, mail_octets

MX1 = "{trust: {mode: above-received, mx: mx1.example.com}}"
STRIPPED = "{trust: {mode: stripped}}"
MARKED = "{trust: {mode: token, token: geheim}}"
SMTP: dict[str, Any] = {"channel": "smtp", "rcpt_tos": ("support@example.com",)}


@pytest.fixture
def fate(
    site_with: Callable[..., Site], samples: Path
) -> Callable[[str, bytes | str], str]:
    """Deliver a mail or a sample under these settings; tell what became of it."""

    def deliver(settings: str, mail: bytes | str) -> str:
        if isinstance(mail, str):
            mail = (samples / "spam" / f"{mail}.eml").read_bytes()
        outcome = site_with("spam", settings).deliver(mail, **SMTP)
        assert not outcome.failures
        return str(outcome.fate)

    return deliver


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("made-amavis-headers", "held"),
        ("made-clamav-milter-headers", "held"),
        ("made-rspamd-extended-headers", "trash"),
        ("ham.spamassassin-L", "article"),
        ("made-forged-headers-below-our-received", "article"),
    ],
)
def test_what_our_scanner_said(
    fate: Callable[..., str], sample: str, expected: str
) -> None:
    assert fate(MX1, sample) == expected


def test_without_trust_no_field_counts(fate: Callable[..., str]) -> None:
    assert fate("{}", "made-rspamd-extended-headers") == "article"


def test_a_virus_can_be_discarded(fate: Callable[..., str]) -> None:
    settings = MX1[:-1] + ", virus: discard}"
    assert fate(settings, "made-clamav-milter-headers") == "trash"


def test_a_senders_no_does_not_help_against_our_yes(fate: Callable[..., str]) -> None:
    forged = b"X-Spam-Flag: NO\n" + mail_octets(X_Spam_Flag="YES")
    assert fate(STRIPPED, forged) == "trash"


def test_a_virus_weighs_more_than_spam(fate: Callable[..., str]) -> None:
    mail = mail_octets(X_Spam="yes", X_Virus_Status="Infected (Some.Thing)")
    assert fate(STRIPPED, mail) == "held"


@pytest.mark.parametrize(
    ("token", "expected"),
    [("geheim", "trash"), ("falsch", "article"), (None, "article")],
)
def test_only_our_token_makes_fields_count(
    fate: Callable[..., str], token: str | None, expected: str
) -> None:
    assert fate(MARKED, mail_octets(X_Spam_Flag="YES", X_Otrsd_MX=token)) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("{block_senders: '@customer.example'}", "trash"),
        ("{block_senders: ['kim@*']}", "trash"),
        ("{block_senders: '@other.example'}", "article"),
        ("{block_subjects: [QUESTION]}", "trash"),
        ("{block_senders: ['kim@*'], never_discard: [{channel: smtp}]}", "article"),
    ],
)
def test_lists(fate: Callable[..., str], settings: str, expected: str) -> None:
    assert fate(settings, mail_octets()) == expected


def test_points_decide_where_a_limit_is_set(fate: Callable[..., str]) -> None:
    mail = mail_octets(X_Spam_Status="No, score=6.5 required=10")
    assert fate(STRIPPED, mail) == "article"
    assert fate(STRIPPED[:-1] + ", spam_score: 6}", mail) == "trash"


def test_a_misspelt_setting_is_named_with_its_line(
    site_with: Callable[..., Site],
) -> None:
    site = site_with("spam", "{block_sender: x}")
    with pytest.raises(Exception, match=r"otrsd.yaml:\d+:\d+.*'block_senders'"):
        site.tickets()
