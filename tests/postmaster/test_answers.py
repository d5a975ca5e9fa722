"""Auto-responses, the loop guard, tokens and reports: the mail that comes and goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from otrsd.desk import replies, tickets
from otrsd.desk.outgoing import Parcel
from otrsd.desk.replies import Answer
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Unit
from otrsd.model.article import Article, ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.model.ticket import Ticket
from otrsd.postmaster.parts import Outcome
from otrsd.store import history, outbox
from otrsd.testing import Site, mail_octets

SITE = """\
site: {{name: Example Support{site}}}
queues:
  support: {{address: support@example.com, auto_response: received{queue}}}
  silent: {{address: silent@example.com}}
{more}
"""
AGENT = Who(actor="joe", cause="cli")


@pytest.fixture
def site(otrsd_app: Site) -> Site:
    configure(otrsd_app)
    return otrsd_app


def configure(site: Site, *, options: str = "", queue: str = "", more: str = ""):
    site.configure(SITE.format(site=options, queue=queue, more=more))


def deliver(site: Site, n: int = 1, **fields: Any) -> Outcome:
    fields.setdefault("Message_ID", f"<{n}@customer.example>")
    envelope = {"channel": "lmtp", "mail_from": "kim@customer.example"}
    rcpt = fields.pop("rcpt", None) or "support@example.com"
    body = fields.pop("body", None) or "Hello\n"
    content = mail_octets(body, **fields)
    return site.deliver(content, rcpt_tos=(rcpt,), **envelope)


def owed(site: Site) -> list[Parcel]:
    with site.app.database.read() as connection:
        rows = outbox.look(connection, ["mail"])
    return [Parcel.from_json(row.payload) for row in rows]


def suppressed(site: Site, outcome: Outcome) -> str:
    with site.app.database.read() as connection:
        rows = history.of_ticket(connection, outcome.ticket_id or 0)
    found = [row for row in rows if row.type == "LoopProtection"]
    return str(found[0].data["reason"]) if found else ""


@contextmanager
def changing(site: Site, outcome: Outcome) -> Iterator[tuple[Unit, Ticket]]:
    with site.app.desk().unit() as unit:
        ticket = unit.ticket(outcome.ticket_id or 0)
        assert ticket is not None
        yield unit, ticket


def answered(site: Site, outcome: Outcome) -> Article:
    """Let an agent answer; return what he wrote."""
    with changing(site, outcome) as (unit, ticket):
        answer = Answer(text="Try again.")
        replies.reply(unit, site.app.letterhead(), ticket, answer, AGENT)
    return site.articles(outcome.ticket_id or 0)[-1]


def test_a_new_ticket_is_answered_with_its_number(site: Site):
    outcome = deliver(site, Subject="Win a prize at http://evil.example")
    ticket = site.ticket(outcome.ticket_id)
    (parcel,) = owed(site)
    assert (parcel.mail_from, parcel.rcpt_tos) == ("", ("kim@customer.example",))
    assert parcel.subject == f"[Ticket#{ticket.number}] We have your mail"
    article = site.articles(ticket.id)[-1]
    assert (article.kind, article.sender_type) == ("mail_out", "system")
    assert article.message_id == parcel.message_id
    assert ticket.number in article.text
    # Nothing that the sender chose goes back (row K09).
    assert "evil" not in article.text + article.subject


def test_it_carries_every_mark_that_others_need(site: Site):
    deliver(site)
    (parcel,) = owed(site)
    from otrsd.mime.parse import parse
    from otrsd.store import content

    with site.app.database.read() as connection:
        mail = parse(content.read(connection, parcel.sha256))
    assert mail.header("Auto-Submitted") == "auto-replied"
    assert mail.header("X-Otrsd-Loop") == "support@example.com"
    assert mail.header("X-Auto-Response-Suppress") == "All"
    assert mail.references == ("<1@customer.example>",)


def test_it_is_in_the_language_of_the_queue(site: Site):
    configure(site, queue=", language: de")
    outcome = deliver(site)
    assert "Guten Tag Kim Customer" in site.articles(outcome.ticket_id or 0)[-1].text


def test_a_queue_without_one_says_nothing(site: Site):
    outcome = deliver(site, rcpt="silent@example.com", To="silent@example.com")
    assert (owed(site), suppressed(site, outcome)) == ([], "")


def test_a_follow_up_is_not_answered(site: Site):
    first = deliver(site)
    second = deliver(site, 2, References="<1@customer.example>")
    assert second.ticket_id == first.ticket_id
    assert len(owed(site)) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Auto_Submitted": "auto-generated"}, "automatic: Auto-Submitted"),
        ({"List_Id": "<x.example.com>"}, "list: list-id"),
        ({"Precedence": "bulk"}, "bulk: precedence"),
        ({"X_Auto_Response_Suppress": "All"}, "suppressed:"),
        ({"Return_Path": "<>"}, "null-sender"),
        ({"From": "MAILER-DAEMON@mx.example"}, "nobody reads"),
        ({"From": "no-reply@shop.example"}, "nobody reads"),
        ({"From": "a-request@lists.example"}, "nobody reads"),
        ({"From": "two@x.example, names@x.example"}, "no sender"),
        ({"From": "a@x.example)b@evil.example"}, "no sender"),
        ({"From": "silent@example.com"}, "a mail of our own"),
        ({"X_Otrsd_Loop": "support@example.com"}, "a mail of our own"),
        ({"X_Loop": "yes"}, "ticket-system"),
    ],
)
def test_a_machine_gets_no_answer_and_the_history_says_why(
    site: Site, fields: dict[str, Any], reason: str
):
    outcome = deliver(site, **fields)
    assert owed(site) == []
    assert reason in suppressed(site, outcome)


def test_a_template_that_fails_stops_no_mail(site: Site):
    more = "templates: {odd: {text: '{{ ticket.number / 0 }}'}}"
    configure(site, more=more)
    text = (site.root / "otrsd.yaml").read_text().replace("received", "odd", 1)
    site.configure(text)
    outcome = deliver(site)
    assert "template 'odd'" in suppressed(site, outcome)


def test_five_an_hour_then_silence_and_a_note(site: Site):
    outcomes = [deliver(site, n) for n in range(7)]
    assert len(owed(site)) == 5
    assert "5 automatic mails in an hour" in suppressed(site, outcomes[-1])
    notes = [a for a in site.articles(outcomes[-1].ticket_id or 0) if a.kind == "note"]
    assert len(notes) == 1
    site.clock.advance(timedelta(hours=1, minutes=1))
    deliver(site, 8)
    assert len(owed(site)) == 6


def test_twenty_a_day(site: Site):
    for n in range(30):
        site.clock.advance(timedelta(minutes=20))
        deliver(site, n)
    assert len(owed(site)) == 20


def test_sixty_a_minute_to_everybody_together(site: Site):
    outcomes = [deliver(site, n, From=f"kim{n}@customer.example") for n in range(62)]
    assert len(owed(site)) == 60
    assert "to all" in suppressed(site, outcomes[-1])


def test_a_batch_counts_its_own_answers(site: Site):
    from otrsd.ids import new_id
    from otrsd.model.envelope import Envelope
    from otrsd.spool import Arrival

    app, now = site.app, site.clock.now()
    envelope = Envelope(received_at=now, channel="lmtp", mail_from="kim@x.example")
    app.spool.put(
        [
            Arrival.of(
                new_id(now, bytes([n]) * 10),
                envelope,
                [mail_octets(Message_ID=f"<b{n}@customer.example>")],
            )
            for n in range(8)
        ]
    )
    site.deliver(mail_octets(Message_ID="<b9@customer.example>"), channel="lmtp")
    assert len(owed(site)) == 5


def test_our_own_mail_that_comes_back_is_held_in_the_end(site: Site):
    fields = {"X_Otrsd_Loop": "support@example.com"}
    fates = [deliver(site, n, **fields).fate for n in range(5)]
    assert fates == ["article"] * 3 + ["held"] * 2
    site.clock.advance(timedelta(hours=2))
    assert deliver(site, 9, **fields).fate == "article"


def test_two_sites_that_answer_each_other_stop_at_once(site: Site):
    deliver(site, From="support@other.example")
    assert len(owed(site)) == 1
    outcome = deliver(
        site,
        2,
        From="support@other.example",
        Auto_Submitted="auto-replied",
        X_Otrsd_Loop="support@other.example",
    )
    assert len(owed(site)) == 1
    assert suppressed(site, outcome)


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


def test_the_admin_is_told_once_a_day_of_each_cause(site: Site):
    rules = (
        "rules: {odd: {when: {subject: odd}, then: {hold: odd}},"
        " bad: {when: {subject: bad}, then: {hold: bad}}}"
    )
    configure(site, options=", admin: root@mail.example.org", more=rules)
    for n, subject in enumerate(("odd", "odd", "bad")):
        deliver(site, n, Subject=subject)
    told = owed(site)
    assert [p.rcpt_tos for p in told] == [("root@mail.example.org",)] * 2
    assert "A mail is held" in told[0].subject
    assert "otrsd spool show" in told[0].octets
    assert "Auto-Submitted: auto-generated" in told[0].octets
    site.clock.advance(timedelta(days=1))
    deliver(site, 9, Subject="odd")
    assert len(owed(site)) == 3


def test_the_admin_is_told_of_a_plugin_that_is_switched_off(site: Site):
    configure(site, options=", admin: root@mail.example.org")
    broken = (
        "from otrsd import hookimpl\n\n\n@hookimpl\n"
        "def amend_ticket(mail, envelope, draft):\n    raise ValueError('no')\n"
    )
    site.plugin("broken", broken)
    for n in range(8):
        deliver(site, n, From=f"kim{n}@customer.example")
    told = [p for p in owed(site) if p.octets]
    assert len(told) == 1
    assert "Plugin broken is switched off" in told[0].subject
