"""Auto-responses and the loop guard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from otrsd.desk.loops import Question, why_not
from otrsd.mime.automatic import Recognised
from otrsd.mime.parse import parse
from otrsd.testing import Site, mail_octets
from tests.postmaster.writing import (
    answered,
    changing,
    configure,
    deliver,
    owed,
    suppressed,
    taken,
)


@pytest.fixture
def site(otrsd_app: Site) -> Site:
    configure(otrsd_app)
    return otrsd_app


@pytest.fixture
def friend(site: Site) -> Site:
    """Give a site in which an agent has written to Kim before."""
    answered(
        site, deliver(site, 99, rcpt="silent@example.com", To="silent@example.com")
    )
    taken(site)
    return site


def test_a_new_ticket_is_answered_with_its_number(site: Site):
    evil = "Win a prize at http://evil.example"
    outcome = deliver(site, Subject=evil, From=f'"{evil}" <kim@customer.example>')
    ticket = site.ticket(outcome.ticket_id)
    (parcel,) = owed(site)
    assert (parcel.mail_from, parcel.rcpt_tos) == ("", ("kim@customer.example",))
    assert parcel.subject == f"[Ticket#{ticket.number}] We have your mail"
    article = site.articles(ticket.id)[-1]
    assert (article.kind, article.sender_type) == ("mail_out", "system")
    assert article.message_id == parcel.message_id
    assert ticket.number in article.text
    # Nothing that the sender chose goes back (row K09).
    assert "evil" not in article.text + article.subject + article.to_text


def test_c18_it_carries_every_mark_that_others_need(site: Site):
    deliver(site)
    ((_, octets),) = taken(site)
    mail = parse(octets)
    assert mail.header("Auto-Submitted") == "auto-replied"
    assert mail.header("Precedence") == "bulk"
    assert mail.header("X-Otrsd-Loop") == "support@example.com"
    assert mail.header("X-Auto-Response-Suppress") == "All"
    assert mail.references == ("<1@customer.example>",)


def test_it_is_in_the_language_of_the_queue(site: Site):
    configure(site, queue=", language: de")
    outcome = deliver(site)
    assert "Guten Tag" in site.articles(outcome.ticket_id or 0)[-1].text


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
        ({"List_Unsubscribe": "<mailto:a@x.example>"}, "bulk: list-unsub"),
        ({"Mailing_List": "contact a@x.example"}, "list: mailing-list"),
        ({"Precedence": "bulk"}, "bulk: precedence"),
        ({"Precedence": "list"}, "list: Precedence"),
        ({"Precedence": "junk"}, "bulk: precedence"),
        ({"Precedence": "auto_reply"}, "vacation: precedence"),
        ({"X_Autoreply": "yes"}, "vacation: x-autoreply"),
        ({"Feedback_Type": "abuse"}, "automatic: feedback-type"),
        ({"X_Auto_Response_Suppress": "All"}, "suppressed:"),
        ({"Return_Path": "<>"}, "null-sender"),
        ({"From": "MAILER-DAEMON@mx.example"}, "nobody reads"),
        ({"From": "postmaster@mx.example"}, "nobody reads"),
        ({"From": "abuse@mx.example"}, "nobody reads"),
        ({"From": "root@mx.example"}, "nobody reads"),
        ({"From": "no-reply@shop.example"}, "nobody reads"),
        ({"From": "a-request@lists.example"}, "nobody reads"),
        ({"From": "two@x.example, names@x.example"}, "no sender"),
        ({"From": "a@x.example)b@evil.example"}, "no sender"),
        ({"From": "silent@example.com"}, "a mail of our own"),
        ({"X_Otrsd_Loop": "support@example.com"}, "a mail of our own"),
        ({"X_Loop": "yes"}, "ticket-system"),
    ],
)
def test_l01_c12_c14_c15_a_machine_gets_no_answer_and_the_history_says_why(
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


def test_k09_one_a_day_to_somebody_whom_nobody_has_written_to(site: Site):
    outcomes = [deliver(site, n) for n in range(3)]
    assert len(owed(site)) == 1
    assert "1 automatic mail in a day" in suppressed(site, outcomes[-1])
    assert [a.kind for a in site.articles(outcomes[-1].ticket_id or 0)] == ["mail_in"]
    site.clock.advance(timedelta(days=1, minutes=1))
    deliver(site, 8)
    assert len(owed(site)) == 2


def test_k09_a_forged_sender_gets_none(site: Site):
    outcome = deliver(site)
    with changing(site, outcome) as (unit, ticket):
        question = Question(
            ticket=ticket,
            address="new@customer.example",
            recognised=Recognised(),
            dmarc_failed=True,
        )
        refusal = why_not(unit, site.app.letterhead(), question)
    assert refusal is not None
    assert "DMARC" in refusal.reason


def test_s12_a_pipe_s_mailer_daemon_is_the_null_sender(site: Site):
    outcome = site.deliver(
        mail_octets(), channel="pipe", mail_from="MAILER-DAEMON", rcpt_tos=()
    )
    assert owed(site) == []
    assert "the null reverse-path" in suppressed(site, outcome)


def test_a_rule_keeps_the_automatic_answer_back(site: Site):
    then = "{no_auto_reply: true, tag: quiet}"
    configure(site, more=f"rules: {{quiet: {{when: {{subject: x}}, then: {then}}}}}")
    outcome = deliver(site, Subject="x")
    assert (owed(site), suppressed(site, outcome)) == ([], "")
    deliver(site, 2, Subject="something else")
    assert len(owed(site)) == 1


def test_l03_c13_five_an_hour_then_silence_and_a_note(friend: Site):
    site = friend
    outcomes = [deliver(site, n) for n in range(7)]
    assert len(owed(site)) == 5
    assert "5 automatic mails in an hour" in suppressed(site, outcomes[-1])
    notes = [a for a in site.articles(outcomes[-1].ticket_id or 0) if a.kind == "note"]
    assert len(notes) == 1
    site.clock.advance(timedelta(hours=1, minutes=1))
    deliver(site, 8)
    assert len(owed(site)) == 6


def test_l03_c13_twenty_a_day(friend: Site):
    site = friend
    for n in range(30):
        site.clock.advance(timedelta(minutes=20))
        deliver(site, n)
    assert len(owed(site)) == 20


@pytest.mark.slow
def test_sixty_a_minute_to_everybody_together(site: Site):
    outcomes = [deliver(site, n, From=f"kim{n}@customer.example") for n in range(62)]
    assert len(owed(site)) == 60
    assert "to all" in suppressed(site, outcomes[-1])


def test_a_batch_counts_its_own_answers(friend: Site):
    site = friend
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


def test_l02_c11_our_own_mail_that_comes_back_is_held_in_the_end(site: Site):
    fields = {"X_Otrsd_Loop": "support@example.com"}
    fates = [deliver(site, n, **fields).fate for n in range(5)]
    assert fates == ["article"] * 3 + ["held"] * 2
    site.clock.advance(timedelta(hours=2))
    assert deliver(site, 9, **fields).fate == "article"


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
