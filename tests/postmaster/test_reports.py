"""Reports about our mail, absences, receipts: machines that speak of a ticket."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from otrsd.desk import addresses, tickets
from otrsd.desk.tickets import NewArticle
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.postmaster.parts import Outcome
from otrsd.store import articles, history
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

#: Each report is a mail of its own.
_NUMBERS = count(100)
DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.example>"
KIM = "kim@customer.example"
REPORT = """
--b
Content-Type: text/plain

Your mail was not delivered.
--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; {to}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} {said}
--b
Content-Type: text/rfc822-headers

Message-ID: {message_id}
Subject: {subject}
--b--
"""


@pytest.fixture
def site(otrsd_app: Site) -> Site:
    configure(otrsd_app)
    return otrsd_app


def report(site: Site, message_id: str, action: str = "failed", **facts: str):
    known = {
        "to": "Kim@customer.example",
        "status": "5.1.1",
        "said": "User unknown",
        "subject": "Re: A question",
    } | facts
    return deliver(
        site,
        next(_NUMBERS),
        From=DAEMON,
        Return_Path="<>",
        Content_Type="multipart/report; report-type=delivery-status; boundary=b",
        body=REPORT.format(action=action, message_id=message_id, **known),
    )


def reported(site: Site, first: Outcome, action: str = "failed", **facts: str):
    return report(site, answered(site, first).message_id, action, **facts)


def closed(site: Site, outcome: Outcome, state: str = "closed successful") -> None:
    with changing(site, outcome) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state=state), AGENT)


def state_of(site: Site, outcome: Outcome) -> str:
    return site.ticket(outcome.ticket_id).state


def stored(site: Site, outcome: Outcome) -> dict[str, Any]:
    """Return the report that stands on an article."""
    with site.app.database.read() as connection:
        facts = articles.facts(connection, outcome.article_id or 0)
    return dict(facts["report"])


def events(site: Site, outcome: Outcome) -> dict[str, Any]:
    with site.app.database.read() as connection:
        rows = history.of_ticket(connection, outcome.ticket_id or 0)
    return {row.type: row.data for row in rows}


def marked(site: Site) -> dict[str, int]:
    return {each.address: each.times for each in addresses.marked(site.app.desk())}


@pytest.mark.parametrize("state", ["pending reminder", "closed successful"])
def test_l04_a_bounce_is_a_note_on_the_ticket_it_is_about(site: Site, state: str):
    first = deliver(site)
    closed(site, first, state)
    bounce = reported(site, first)
    assert bounce.ticket_id == first.ticket_id
    article = site.articles(first.ticket_id or 0)[-1]
    assert (article.kind, article.sender_type) == (
        ArticleKind.MAIL_IN,
        SenderType.SYSTEM,
    )
    assert not article.visible_to_customer
    assert state_of(site, first) == "open"
    assert marked(site) == {KIM: 1}
    assert len(owed(site)) == 2, "the first answer and the agent's, and no third"


def test_l04_a_bounce_of_our_own_automatic_mail_is_not_answered(site: Site):
    first = deliver(site)
    ours = site.articles(first.ticket_id or 0)[-1]
    assert report(site, ours.message_id).ticket_id == first.ticket_id
    assert len(owed(site)) == 1
    assert marked(site) == {KIM: 1}


def test_c6_the_error_stands_on_the_article_and_in_the_history(site: Site):
    first = deliver(site)
    bounce = reported(site, first)
    sent = site.articles(first.ticket_id or 0)[-2]
    told = stored(site, bounce)
    assert (told["about"], told["action"]) == (sent.id, "failed")
    (kim,) = told["recipients"]
    assert kim == {
        "address": "Kim@customer.example",
        "action": "failed",
        "status": "5.1.1",
        "code": "550",
        "diagnostic": "550 5.1.1 User unknown",
        "hard": True,
    }
    assert events(site, bounce)["Bounce"]["recipients"] == [kim]
    assert events(site, bounce)["Bounce"]["about"] == sent.id


def test_c6_the_message_id_of_a_mail_that_we_sent_under_another_one(site: Site):
    first = deliver(site)
    article = NewArticle(
        kind=ArticleKind.MAIL_OUT,
        sender_type=SenderType.AGENT,
        visible_to_customer=True,
        to_text=f"{KIM}, lee@customer.example",
        message_id="<foreign@old.example>",
    )
    with changing(site, first) as (unit, ticket):
        tickets.append(unit, ticket, article, AGENT, event="EmailAgent")
    bounce = report(site, "<foreign@old.example>")
    assert bounce.ticket_id == first.ticket_id
    assert stored(site, bounce)["about"]
    assert marked(site) == {KIM: 1}


@pytest.mark.parametrize("body", ["", "--b\n\0junk: \x1b\n", "--b--\n--b\n\nFinal-"])
def test_m10_a_broken_report_is_a_ticket_without_an_answer(site: Site, body: str):
    kind = "multipart/report; report-type=delivery-status; boundary=b"
    bounce = deliver(site, 7, From=DAEMON, Content_Type=kind, body=body)
    assert bounce.is_new
    assert (owed(site), marked(site)) == ([], {})
    assert "bounce: a delivery report" in suppressed(site, bounce)


def test_l04_reports_that_come_again_and_again_owe_nothing(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    for _ in range(5):
        assert report(site, ours).ticket_id == first.ticket_id
    assert len(owed(site)) == 2
    assert marked(site) == {KIM: 5}


def test_the_message_id_of_a_customers_mail_proves_nothing(site: Site):
    first = deliver(site)
    assert report(site, "<1@customer.example>", subject="x").is_new
    assert (marked(site), state_of(site, first)) == ({}, "new")


def test_c6_the_hook_in_the_returned_subject_and_a_recipient_who_takes_part(site: Site):
    first = deliver(site)
    number = site.ticket(first.ticket_id).number
    subject = f"[Ticket#{number}] Re: A question"
    stranger = report(site, "<x@else>", subject=subject, to="lee@else.example")
    assert stranger.is_new
    bounce = report(site, "<x@else>", subject=subject, to=KIM)
    assert bounce.ticket_id == first.ticket_id
    assert marked(site) == {}, "anybody can write a subject"


def test_k02_a_report_that_anybody_can_write_opens_nothing(site: Site):
    first = deliver(site)
    closed(site, first)
    subject = f"[Ticket#{site.ticket(first.ticket_id).number}] Re: A question"
    bounce = report(site, "<x@else>", subject=subject, to=KIM)
    assert bounce.ticket_id == first.ticket_id
    assert state_of(site, first) == "closed successful"
    assert "anybody can write one" in events(site, bounce)["Misc"]["reason"]


def test_l04_a_bounce_of_an_automatic_mail_opens_no_closed_ticket(site: Site):
    first = deliver(site)
    closed(site, first)
    bounce = report(site, site.articles(first.ticket_id or 0)[-1].message_id)
    assert (bounce.ticket_id, marked(site)) == (first.ticket_id, {KIM: 1})
    assert state_of(site, first) == "closed successful"
    assert events(site, bounce)["Misc"]["suppressed"] == "reopening"


def test_a_letter_without_fields_finds_its_ticket_too(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    body = (
        "I'm afraid I wasn't able to deliver your message.\n\n"
        f"<{KIM}>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
        f"--- Below this line is a copy of the message.\n\nMessage-ID: {ours}\n"
    )
    bounce = deliver(site, 5, From=DAEMON, Subject="failure notice", body=body)
    assert bounce.ticket_id == first.ticket_id
    assert marked(site) == {KIM: 1}


def test_a_customer_who_forwards_a_bounce_writes_a_follow_up(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    body = f"Why?\n\n> From: {DAEMON}\n> could not be delivered\n> Message-ID: {ours}\n"
    fields = {"In_Reply_To": ours, "Subject": "Fwd: failure notice"}
    mail = deliver(site, 5, body=body, **fields)
    assert mail.ticket_id == first.ticket_id
    article = site.articles(first.ticket_id or 0)[-1]
    assert (article.sender_type, article.visible_to_customer) == ("customer", True)


def test_c16_an_address_that_bounced_twice_is_muted_for_sixty_days(site: Site):
    for n in (1, 20):
        reported(site, deliver(site, n))
        site.clock.advance(timedelta(days=2))
    assert "has bounced 2 times" in suppressed(site, deliver(site, 8))
    site.clock.advance(timedelta(days=60))
    assert suppressed(site, deliver(site, 9)) == ""


def test_c16_a_mark_can_be_cleared(site: Site):
    for n in (1, 20):
        reported(site, deliver(site, n))
        site.clock.advance(timedelta(days=2))
    addresses.clear(site.app.desk(), "KIM@customer.example", AGENT)
    assert marked(site) == {}
    assert suppressed(site, deliver(site, 8)) == ""


@pytest.mark.parametrize(
    ("status", "said"),
    [("5.2.2", "mailbox full"), ("5.7.1", "spam"), ("4.4.7", "expired")],
)
def test_c16_what_is_not_the_addresss_fault_marks_nobody(
    site: Site, status: str, said: str
):
    first = deliver(site)
    closed(site, first)
    bounce = reported(site, first, status=status, said=said)
    assert (bounce.ticket_id, marked(site)) == (first.ticket_id, {})
    assert state_of(site, first) == "open"
    assert stored(site, bounce)["recipients"][0]["hard"] is False


def test_an_address_that_we_did_not_write_to_is_not_marked(site: Site):
    reported(site, deliver(site), to="boss@customer.example")
    assert marked(site) == {}


@pytest.mark.parametrize("action", ["delayed", "delivered"])
def test_news_of_a_delivery_changes_no_state(site: Site, action: str):
    first = deliver(site)
    closed(site, first)
    news = reported(site, first, action)
    assert news.ticket_id == first.ticket_id
    assert state_of(site, first) == "closed successful"
    assert marked(site) == {}
    assert "DeliveryReport" in events(site, news)


def machine(site: Site, first: Outcome, **fields: str) -> Outcome:
    """Let something answer what an agent has written, after the ticket was closed."""
    ours = answered(site, first).message_id
    closed(site, first)
    named = {"ours": ours}
    return deliver(site, 2, **{k: v.format(**named) for k, v in fields.items()})


@pytest.mark.parametrize(
    "fields",
    [
        {"Auto_Submitted": "auto-replied", "Subject": "Out of office"},
        {"X_Autoreply": "yes"},
        {"X_Apple_Action": "VACATION"},
    ],
)
def test_c17_an_absence_is_filed_and_opens_nothing(site: Site, fields: dict[str, str]):
    first = deliver(site)
    away = machine(site, first, In_Reply_To="{ours}", **fields)
    assert away.ticket_id == first.ticket_id
    assert state_of(site, first) == "closed successful"
    article = site.articles(first.ticket_id or 0)[-1]
    assert (article.sender_type, article.visible_to_customer) == ("system", False)
    assert len(owed(site)) == 2


def test_a_receipt_is_a_note_by_the_message_id_that_it_names(site: Site):
    first = deliver(site)
    body = (
        "--b\nContent-Type: message/disposition-notification\n\n"
        "Original-Message-ID: {ours}\nDisposition: manual-action/x; displayed\n--b--\n"
    )
    kind = "multipart/report; report-type=disposition-notification; boundary=b"
    read = machine(site, first, Content_Type=kind, body=body)
    assert read.ticket_id == first.ticket_id
    assert state_of(site, first) == "closed successful"
    assert not site.articles(first.ticket_id or 0)[-1].visible_to_customer


def test_a_rule_asks_for_the_kind(site: Site):
    rules = "rules: {away: {when: {kind: [vacation, list]}, then: {tag: robot}}}"
    configure(site, more=rules)
    away = deliver(site, Auto_Submitted="auto-replied")
    person = deliver(site, 2, From="lee@customer.example")
    assert site.ticket(away.ticket_id).tags == ("robot",)
    assert site.ticket(person.ticket_id).tags == ()
