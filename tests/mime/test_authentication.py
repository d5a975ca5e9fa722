"""Authentication-Results of our own MTA, and of nobody else (robots.md §5.3, K04)."""

from __future__ import annotations

from typing import Literal

import pytest

from otrsd.mime.parse import parse
from otrsd.model.auth import Auth, Said
from otrsd.postmaster.senders import Senders
from otrsd.trust import Trust

OURS = "Authentication-Results: mx.example.com; "
RECEIVED = "Received: from mail.bank.example by mx.example.com; Mon, 23 Nov 2026"
GOOD = (
    "dkim=pass header.d=bank.example; spf=pass smtp.mailfrom=bank.example;"
    " dmarc=pass (p=REJECT sp=NONE dis=NONE) header.from=bank.example"
)


def read(*lines: str, mode: Literal["above-received", "stripped"] = "above-received"):
    content = "\n".join([*lines, "From: kim@bank.example", "", "text"]).encode()
    trust = Trust(mode=mode, mx=("mx.example.com",))
    return Senders(trust=trust).told(parse(content))


def test_k04_what_our_mta_says_above_its_received_is_believed():
    auth = read(OURS + GOOD, RECEIVED)
    assert (auth.dkim, auth.spf, auth.dmarc) == (Said.PASS, Said.PASS, Said.PASS)
    assert (auth.by, auth.policy) == ("mx.example.com", "reject")


def test_k04_the_same_below_its_received_may_be_the_senders():
    auth = read(RECEIVED, OURS + GOOD)
    assert auth.dmarc is Said.NONE
    assert "not believed" in auth.notes[0]


def test_k04_an_mta_that_strips_is_believed_wherever_it_writes():
    assert read(RECEIVED, OURS + GOOD, mode="stripped").dmarc is Said.PASS


def test_k04_nobody_elses_word_counts():
    forged = "Authentication-Results: mx.evil.example; " + GOOD
    assert read(forged, RECEIVED, mode="stripped") == Auth()


def test_k04_what_is_said_twice_is_believed_nowhere():
    auth = read(OURS + "dmarc=fail (p=reject)", OURS + GOOD, RECEIVED)
    assert (auth.dmarc, auth.dkim) == (Said.NONE, Said.PASS)
    assert "reports dmarc twice" in auth.notes[0]


def test_two_programs_of_our_mta_may_write_one_method_each():
    auth = read(
        OURS + "dkim=pass header.d=bank.example",
        OURS + "dmarc=pass header.from=bank.example",
        RECEIVED,
    )
    assert (auth.dkim, auth.dmarc) == (Said.PASS, Said.PASS)


@pytest.mark.parametrize(
    "written",
    [
        'spf=fail smtp.mailfrom="a; dmarc=pass header.from=bank.example"@evil.example',
        "spf=fail (a; dmarc=pass header.from=bank.example) smtp.mailfrom=evil.example",
        "spf=fail (a (b; c) ; dmarc=pass header.from=bank.example",
        'spf=fail (5" ; dmarc=pass header.from=bank.example',
        'dkim=fail reason="x; dmarc=pass header.from=bank.example"',
        "spf=fail smtp.mailfrom==?us-ascii?q?x=3B_dmarc=3Dpass?=@evil.example",
        'dkim=fail reason="\\"; dmarc=pass header.from=bank.example"',
        "x-dmarc=pass header.from=bank.example",
        "none",
        "",
    ],
)
def test_k04_what_a_sender_chose_is_never_a_result(written: str):
    auth = read(OURS + written, RECEIVED)
    assert auth.dmarc is Said.NONE
    assert not auth.proves("kim@bank.example")


def test_a_quote_in_a_comment_hides_no_result():
    auth = read(OURS + 'spf=pass (5" tall) x=y; dmarc=fail (p=reject); a=b "', RECEIVED)
    assert auth.refutes


@pytest.mark.parametrize(
    ("said", "address", "proved"),
    [
        ("dmarc=pass header.from=bank.example", "kim@bank.example", True),
        ("dmarc=pass header.from=bank.example", "kim@evil.example", False),
        ("dmarc=pass", "kim@bank.example", True),
        ("dkim=pass header.d=bank.example", "kim@bank.example", True),
        ("dkim=pass header.d=bank.example", "kim@mail.bank.example", True),
        ("dkim=pass header.d=mail.bank.example", "kim@bank.example", False),
        ("dkim=pass header.d=nk.example", "kim@bank.example", False),
        ("dkim=pass header.d=example", "kim@bank.example", False),
        ("dkim=pass header.i=@bank.example", "kim@bank.example", True),
        ("dkim=fail header.d=bank.example", "kim@bank.example", False),
        ("spf=pass smtp.mailfrom=bank.example", "kim@bank.example", False),
        ("dkim=pass header.d=bank.example", "", False),
        ("dkim=pass header.d=", "kim", False),
    ],
)
def test_k04_only_an_aligned_proof_proves_an_address(
    said: str,
    address: str,
    proved: bool,  # noqa: FBT001 - a parameter
):
    assert read(OURS + said, RECEIVED).proves(address) is proved


@pytest.mark.parametrize(
    ("said", "refuted"),
    [
        ("dmarc=fail (p=reject dis=none) header.from=bank.example", True),
        ("dmarc=fail header.from=bank.example (policy=quarantine)", True),
        ("dmarc=fail header.from=bank.example policy.dmarc=reject", True),
        ("dmarc=fail (p=none) header.from=bank.example", False),
        ("dmarc=fail header.from=bank.example", False),
        ("dmarc=temperror (p=reject)", False),
        ("dmarc=pass (p=reject)", False),
    ],
)
def test_k04_a_domain_that_asks_for_it_disowns_a_mail(
    said: str,
    refuted: bool,  # noqa: FBT001 - a parameter
):
    assert read(OURS + said, RECEIVED).refutes is refuted


def test_h17_a_mail_with_two_from_fields_proves_nobody():
    lines = (OURS + GOOD, RECEIVED, "From: ceo@bank.example", "From: kim@bank.example")
    mail = parse("\n".join([*lines, "", "text"]).encode())
    senders = Senders(trust=Trust(mode="above-received", mx=("mx.example.com",)))
    auth = senders.auth(mail, None, b"")  # type: ignore[arg-type]
    assert not auth.proves("ceo@bank.example")


def test_the_stored_form_gives_the_same_back():
    auth = read(OURS + GOOD, RECEIVED)
    assert Auth.from_plain(auth.plain()) == auth
    assert Auth().plain() == {}


def test_s26_many_fields_cost_no_time():
    lines = [OURS + "(" * 60_000] * 2 + [OURS + '"' * 60_000] * 2
    assert read(*lines, RECEIVED).dmarc is Said.NONE
