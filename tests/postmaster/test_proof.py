"""Tokens: what belongs to a ticket by proof."""

from __future__ import annotations

from datetime import timedelta

import pytest

from otrsd.desk import tickets
from otrsd.model.changes import Changes
from otrsd.testing import Site
from tests.postmaster.writing import (
    AGENT,
    answered,
    changing,
    configure,
    deliver,
)


@pytest.fixture
def site(otrsd_app: Site) -> Site:
    configure(otrsd_app)
    return otrsd_app


def test_the_token_joins_whoever_answers(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    second = deliver(site, 2, From="lee@else.example", In_Reply_To=ours, Subject="Hm")
    assert second.ticket_id == first.ticket_id
    assert "new-person" in site.ticket(first.ticket_id).tags
    third = deliver(site, 3, From="lee@else.example", References="<2@customer.example>")
    assert third.ticket_id != first.ticket_id, "he takes no part yet"


def test_the_token_survives_lower_case_and_a_kim_is_no_stranger(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    second = deliver(site, 2, References=ours.upper(), Subject="Hm")
    assert second.ticket_id == first.ticket_id
    assert "new-person" not in site.ticket(first.ticket_id).tags


def test_a_forged_token_joins_nothing(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    _, article, token = ours.partition("@")[0].split(".")
    for n, forged in enumerate(
        (
            f"<otrsd.{article}.{'a' * 16}@example.com>",
            f"<otrsd.{article}.{token[:-1]}@example.com>",
            f"<otrsd.1.{token}@example.com>",
            f"<otrsd.{'9' * 18}.{token}@example.com>",
        )
    ):
        outcome = deliver(site, n + 2, From="lee@else.example", References=forged)
        assert outcome.is_new, forged


def test_a_token_ends_ninety_days_after_its_ticket(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    with changing(site, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)
    site.clock.advance(timedelta(days=91))
    late = deliver(site, 2, From="lee@else.example", References=ours)
    assert late.ticket_id != first.ticket_id


def test_the_reply_address_joins_where_extensions_are_delivered(site: Site):
    configure(site, options=", recipient_delimiter: '-'")
    first = deliver(site)
    head = site.app.letterhead()
    number = site.ticket(first.ticket_id).number
    address = head.tokens.reply_address("support@example.com", "-", number)
    lee = "lee@else.example"
    second = deliver(site, 2, From=lee, To=address, rcpt=address.upper())
    assert second.ticket_id == first.ticket_id
    forged = address.replace(f"{number}.", f"{number}.a")
    assert deliver(site, 3, From=lee, To=forged, rcpt=forged).is_new
