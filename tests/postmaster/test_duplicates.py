"""One mail by several ways is one article, and nothing else is (design.md §7)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, strategies as st

from otrsd.desk import tickets
from otrsd.mime.parse import parse
from otrsd.model.changes import Changes
from otrsd.store import history
from otrsd.testing import Site, mail_octets
from tests.postmaster.writing import AGENT, changing

CHANNELS = ("smtp", "lmtp", "pipe", "socket", "pop3", "imap")
#: What an MTA, an MDA or a mailbox puts in front of a mail on its way.
DRESS = (
    b"",
    b"From kim@customer.example Mon Nov 23 10:00:00 2026\n",
    b"Return-Path: <kim@customer.example>\nDelivered-To: support@example.com\n",
    b"Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\n",
    b"X-Original-To: support@example.com\nX-Spam-Status: No\nX-UIDL: 17\n",
)
BODY = "Disk full on db1\n\nFilesystem  Use%\n/dev/sda1   100%\n"


def dressed(octets: bytes, dress: int, ends: int, tail: bytes = b"") -> bytes:
    """Return a copy as another way would have brought it."""
    octets = DRESS[dress] + octets + tail
    return octets.replace(b"\n", b"\r\n") if ends else octets


def rows(site: Site) -> list[str]:
    with site.app.database.read() as connection:
        return [
            row.type
            for ticket in site.tickets()
            for row in history.of_ticket(connection, ticket.id)
        ]


def test_A17_every_pair_of_channels_makes_one_article(otrsd_app: Site):
    for n, (one, other) in enumerate(product(CHANNELS, CHANNELS)):
        octets = mail_octets(BODY, Message_ID=f"<{n}@customer.example>")
        first = otrsd_app.deliver(dressed(octets, n % 5, n % 2), channel=one)
        second = otrsd_app.deliver(dressed(octets, n % 3, one < other), channel=other)
        assert (first.fate, second.fate) == ("article", "duplicate"), (one, other)
        assert second.ticket_id == first.ticket_id
    # Each dropped copy is a history row of its ticket.
    assert rows(otrsd_app) == ["NewTicket", "Duplicate"] * len(CHANNELS) ** 2


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=200),
    st.tuples(st.integers(0, 4), st.integers(0, 1), st.sampled_from([b"", b"\n"])),
    st.tuples(st.integers(0, 4), st.integers(0, 1), st.sampled_from([b"", b"\n\n"])),
)
def test_A17_what_carriers_add_does_not_make_another_mail(
    body: str, one: tuple[int, int, bytes], other: tuple[int, int, bytes]
):
    octets = mail_octets(body, Message_ID="<1@customer.example>")
    keys = {parse(dressed(octets, *way)).dedup_key for way in (one, other)}
    assert len(keys) == 1


@given(st.sampled_from(["From", "Date", "Subject", "Message-ID", "body"]))
def test_k13_another_content_is_another_mail(changed: str):
    octets = mail_octets(BODY, Message_ID="<1@customer.example>")
    other = {
        "From": octets.replace(b"Kim Customer", b"Kim"),
        "Date": octets.replace(b"10:00:00", b"10:00:01"),
        "Subject": octets.replace(b"A question", b"A question?"),
        "Message-ID": octets.replace(b"<1@", b"<2@"),
        "body": octets.replace(b"100%", b"99%"),
    }[changed]
    assert parse(other).dedup_key != parse(octets).dedup_key


@pytest.mark.parametrize("channel", CHANNELS)
def test_k13_the_same_message_id_with_other_content_is_kept(
    otrsd_app: Site, channel: str
):
    values = {"Message_ID": "<1@customer.example>"}
    first = otrsd_app.deliver(mail_octets("One.\n", **values), channel="lmtp")
    second = otrsd_app.deliver(mail_octets("Two.\n", **values), channel=channel)
    assert (first.fate, second.fate) == ("article", "article")


@pytest.mark.parametrize("channel", CHANNELS)
def test_identical_mails_without_message_id_are_never_swallowed(
    otrsd_app: Site, channel: str
):
    octets = mail_octets(BODY, From="root@db1.example (Cron Daemon)", Date=None)
    for _ in range(3):
        assert otrsd_app.deliver(octets, channel=channel).fate == "article"
    assert len(otrsd_app.tickets()) == 3


def test_a_copy_of_a_mail_in_a_closed_ticket_opens_nothing(otrsd_app: Site):
    octets = mail_octets(BODY, Message_ID="<1@customer.example>")
    first = otrsd_app.deliver(octets, channel="lmtp")
    with changing(otrsd_app, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)
    assert otrsd_app.deliver(octets, channel="imap").fate == "duplicate"
    assert otrsd_app.ticket(first.ticket_id).state == "closed successful"
