from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otrsd.mime.automatic import Kind, recognise
from otrsd.mime.parse import parse
from otrsd.model.envelope import Envelope

HUMAN = "From: Kim <kim@customer.example>\nTo: support@example.com\nSubject: Help\n"
REPORT = (
    "Content-Type: multipart/report; report-type={}; boundary=b\n\n"
    "--b\nContent-Type: text/plain\n\nSorry.\n"
    "--b\nContent-Type: message/{}\n\n"
    "Final-Recipient: rfc822; kim@customer.example\n{}\n--b--\n"
)


def kind_of(head: str, body: str = "\nHello\n", mail_from: str = "kim@x.example"):
    content = (head + body).encode()
    envelope = Envelope(
        mail_from=mail_from,
        channel="smtp",
        received_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    return recognise(parse(content), envelope, content)


def report(kind: str, action: str = ""):
    return REPORT.format(kind, kind, action and f"Action: {action}")


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("X-Nothing: at all", Kind.HUMAN),
        ("Auto-Submitted: no", Kind.HUMAN),
        ("X-Auto-Response-Suppress: OOF", Kind.HUMAN),
        ("X-Auto-Response-Suppress: All", Kind.SUPPRESSED),
        ("X-Auto-Response-Suppress: DR, AutoReply", Kind.SUPPRESSED),
        ("Auto-Submitted: auto-generated", Kind.AUTOMATIC),
        ("AUTO-SUBMITTED: Auto-Notified; owner-email=x@y", Kind.AUTOMATIC),
        ("Auto-Submitted: auto-replied (vacation)", Kind.VACATION),
        ("Auto-Submitted: (I am away) auto-replied; x=y", Kind.VACATION),
        ("Auto-Submitted: No (a person)", Kind.HUMAN),
        ("X-Apple-Action: VACATION", Kind.VACATION),
        ("X-POST-MessageClass: 9; Autoresponder", Kind.VACATION),
        ("X-Autoreply: yes", Kind.VACATION),
        ("X-Autorespond:", Kind.VACATION),
        ("X-Mail-Autoreply: yes", Kind.VACATION),
        ("X-MS-Exchange-Inbox-Rules-Loop: kim@x", Kind.VACATION),
        ("Precedence: list", Kind.LIST),
        ("List-Id: <a.example.com>", Kind.LIST),
        ("Mailing-List: contact x", Kind.LIST),
        ("Precedence: bulk", Kind.BULK),
        ("Precedence: JUNK", Kind.BULK),
        ("Precedence: auto_reply", Kind.VACATION),
        ("List-Unsubscribe: <mailto:x@y.example>", Kind.BULK),
        ("Feedback-ID: 1:2", Kind.BULK),
        ("Feedback-Type: abuse", Kind.AUTOMATIC),
        ("X-Failed-Recipients: kim@x.example", Kind.AUTOMATIC),
        ("X-Loop: yes", Kind.TICKET_SYSTEM),
        ("X-OTRS-Loop: yes", Kind.TICKET_SYSTEM),
        ("X-Powered-By: OTRS (https://otrs.com)", Kind.TICKET_SYSTEM),
        ("X-RT-Loop-Prevention: example.org", Kind.TICKET_SYSTEM),
        ("Return-Path: <>", Kind.NULL_SENDER),
    ],
)
def test_a_field_tells_who_has_written_it(field: str, kind: Kind):
    assert kind_of(f"{HUMAN}{field}\n").kind is kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (report("delivery-status", "failed"), Kind.BOUNCE),
        (report("delivery-status", "delayed"), Kind.DELAYED),
        (report("delivery-status", "delivered"), Kind.DELIVERED),
        (report("delivery-status"), Kind.BOUNCE),
        (report("delivery-status", "delayed\nAction: failed"), Kind.BOUNCE),
        (report("disposition-notification"), Kind.RECEIPT),
        (report("feedback-report"), Kind.ABUSE_REPORT),
    ],
)
def test_a_report_tells_what_it_reports(body: str, kind: Kind):
    assert kind_of(HUMAN, body, mail_from="").kind is kind


def test_an_old_mailer_daemon_is_one():
    head = HUMAN.replace("kim@customer.example", "MAILER-DAEMON@mx.example")
    assert kind_of(head, mail_from="").kind is Kind.BOUNCE
    assert kind_of(head, mail_from="someone@x.example").kind is Kind.HUMAN


def test_the_null_reverse_path_is_no_person():
    assert kind_of(HUMAN, mail_from="").kind is Kind.NULL_SENDER


@pytest.mark.parametrize("word", ["Automatic reply", "Automatische Antwort"])
def test_exchange_says_generated_when_it_means_replied(word: str):
    head = HUMAN.replace("Help", f"{word}: Help")
    assert kind_of(f"{head}Auto-Submitted: auto-generated\n").kind is Kind.VACATION
    assert kind_of(head).kind is Kind.SUPPRESSED


@pytest.mark.parametrize(
    "word",
    [
        *("Out of Office:", "Auto:", "Abwesenheitsnotiz", "Réponse automatique :"),
        *("Respuesta automática:", "Risposta automatica:", "Resposta automática:"),
        *("Automatisch antwoord:", "Automatiskt svar:", "Automatisk svar:"),
        *("Automaattinen vastaus:", "Automatyczna odpowiedź:", "Automatická odpověď:"),
        *("Automatikus válasz:", "Автоматический ответ:", "Automatski odgovor:"),
        *("Αυτόματη απάντηση:", "自動応答:", "自动答复:", "자동 회신:"),
    ],
)
def test_an_absence_says_so_in_its_subject_in_many_languages(word: str):
    head = HUMAN.replace("Help", f"{word} Help")
    assert kind_of(head).kind is Kind.SUPPRESSED
    assert kind_of(head.replace(word, f"Re: {word}")).is_human


def test_an_invitation_is_answered_by_a_calendar():
    head = f"{HUMAN}Content-Type: multipart/mixed; boundary=b\n"
    part = (
        "\n--b\nContent-Type: text/calendar; charset=utf-8;\n method={}\n\nx\n--b--\n"
    )
    assert kind_of(head, part.format("REPLY")).kind is Kind.CALENDAR
    assert kind_of(head, part.format("REQUEST")).is_human


def test_a_challenge_is_one_only_where_a_machine_marked_it():
    head = HUMAN.replace("Help", "Please confirm your message")
    assert kind_of(f"{head}Auto-Submitted: auto-replied\n").kind is Kind.CHALLENGE
    assert kind_of(head).is_human


def test_a_dmarc_report_is_no_person():
    head = HUMAN.replace("Help", "Report Domain: a.example Submitter: b.example")
    assert kind_of(head).kind is Kind.DMARC_REPORT
