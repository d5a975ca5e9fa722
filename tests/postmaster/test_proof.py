"""Tokens, reports about our mail, absences: what belongs to a ticket by proof."""

from __future__ import annotations

from datetime import timedelta

import pytest

from otrsd.desk import tickets
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.postmaster.parts import Outcome
from otrsd.testing import Site
from tests.postmaster.writing import (
    AGENT,
    answered,
    changing,
    configure,
    deliver,
    owed,
    suppressed,
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


REPORT = """
--b
Content-Type: text/plain

Your mail was not delivered.
--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; Kim@customer.example
Action: {action}
Status: 5.1.1
--b
Content-Type: text/rfc822-headers

Message-ID: {message_id}
--b--
"""


def report(site: Site, first: Outcome, action: str) -> Outcome:
    message_id = answered(site, first).message_id
    return deliver(
        site,
        5,
        From="Mail Delivery System <MAILER-DAEMON@mx.example>",
        Return_Path="<>",
        Content_Type="multipart/report; report-type=delivery-status; boundary=b",
        body=REPORT.format(action=action, message_id=message_id),
    )


def test_a_bounce_is_a_note_on_the_ticket_it_is_about(site: Site):
    first = deliver(site)
    with changing(site, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="pending reminder"), AGENT)
    bounce = report(site, first, "failed")
    assert bounce.ticket_id == first.ticket_id
    article = site.articles(first.ticket_id or 0)[-1]
    assert (article.kind, article.sender_type) == (
        ArticleKind.MAIL_IN,
        SenderType.SYSTEM,
    )
    assert not article.visible_to_customer
    assert site.ticket(first.ticket_id).state == "open"
    assert len(owed(site)) == 2


def test_who_bounced_gets_no_automatic_mail_for_a_while(site: Site):
    report(site, deliver(site), "failed")
    site.clock.advance(timedelta(days=2))
    assert "has bounced" in suppressed(site, deliver(site, 8))
    site.clock.advance(timedelta(days=60))
    assert suppressed(site, deliver(site, 9)) == ""


@pytest.mark.parametrize("action", ["delayed", "delivered"])
def test_news_of_a_delivery_changes_no_state(site: Site, action: str):
    first = deliver(site)
    with changing(site, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)
    assert report(site, first, action).ticket_id == first.ticket_id
    assert site.ticket(first.ticket_id).state == "closed successful"


def test_an_absence_is_filed_and_opens_nothing(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    with changing(site, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)
    fields = {"Auto_Submitted": "auto-replied", "In_Reply_To": ours}
    away = deliver(site, 2, Subject="Out of office", **fields)
    assert away.ticket_id == first.ticket_id
    assert site.ticket(first.ticket_id).state == "closed successful"
    assert len(owed(site)) == 2
