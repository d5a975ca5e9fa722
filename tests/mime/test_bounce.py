"""Mail that comes back, as mail systems write it; none of it is a customer's."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from otrsd.mime.automatic import Kind, Recognised, recognise
from otrsd.mime.parse import parse
from otrsd.model.envelope import Envelope
from otrsd.model.report import Action, Recipient

DAEMON = "Mail Delivery Subsystem <MAILER-DAEMON@mx.example>"
#: Letters of programs that do not write RFC 3464; each is about kim@customer.example.
LETTERS = {
    "qmail": (
        "MAILER-DAEMON@mx.example",
        "failure notice",
        (
            "Hi. This is the qmail-send program at mx.example.\n"
            "I'm afraid I wasn't able to deliver your message.\n\n"
            "<kim@customer.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n"
            "--- Below this line is a copy of the message.\n\n"
            "Return-Path: <support@example.com>\nMessage-ID: <1@example.com>\n"
            "Subject: Re: Help\n"
        ),
    ),
    "exim": (
        DAEMON,
        "Mail delivery failed: returning message to sender",
        (
            "This message was created automatically by mail delivery software.\n\n"
            "A message that you sent could not be delivered.\n\n"
            "  kim@customer.example\n    host mx [192.0.2.1]: 550 5.1.1 User unknown\n"
            "\n------ This is a copy of the message, including the headers. ------\n\n"
            "Message-ID: <1@example.com>\nSubject: Re: Help\n"
        ),
    ),
    "old sendmail": (
        DAEMON,
        "Returned mail: User unknown",
        (
            "   ----- Transcript of session follows -----\n"
            "550 5.1.1 <kim@customer.example>... User unknown\n\n"
            "   ----- Unsent message follows -----\n"
            "Message-ID: <1@example.com>\nSubject: Re: Help\n"
        ),
    ),
    "exchange": (
        "System Administrator <postmaster@mx.example>",
        "Undeliverable: Re: Help",
        (
            "Your message\n  Message-ID: <1@example.com>\n  Subject: Re: Help\n"
            "\ndid not reach the following recipient(s):\n\n"
            "kim@customer.example on Mon, 23 Nov 2026 10:00:00\n"
            "    The recipient name is not recognized (550 5.1.1)\n"
        ),
    ),
    "german": (
        "Postmaster <postmaster@mx.example>",
        "Unzustellbar: Re: Help",
        (
            "Ihre Nachricht konnte nicht zugestellt werden:\n\nkim@customer.example\n"
            "550 5.1.1 Empfänger unbekannt\n\n----- Original Message -----\n"
            "Message-ID: <1@example.com>\nSubject: Re: Help\n"
        ),
    ),
    "domino": (
        "Postmaster@mx.example",
        "DELIVERY FAILURE: User kim (kim@customer.example) not listed in Directory",
        (
            "Your message\n  Subject: Re: Help\n  Message-ID: <1@example.com>\n"
            "was not delivered to:\n  kim@customer.example\nbecause:\n"
            "  550 5.1.1 User kim (kim@customer.example) not listed here\n"
        ),
    ),
}


def read(
    author: str, subject: str, body: str, *, more: str = "", mail_from: str = ""
) -> Recognised:
    head = f"From: {author}\nTo: support@example.com\nSubject: {subject}\n{more}\n"
    content = (head + body).encode()
    envelope = Envelope(
        mail_from=mail_from,
        channel="smtp",
        received_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    return recognise(parse(content), envelope, content)


@pytest.mark.parametrize("program", LETTERS)
@pytest.mark.parametrize("mail_from", ["", "support@example.com"])
def test_c6_a_letter_of_a_mail_system_is_read(program: str, mail_from: str):
    found = read(*LETTERS[program], mail_from=mail_from)
    assert (found.kind, found.report is not None) == (Kind.BOUNCE, True)
    report = found.report
    assert report
    assert (report.message_id, report.subject) == ("<1@example.com>", "Re: Help")
    (kim,) = report.recipients
    assert (kim.address, kim.status, kim.is_hard) == (
        "kim@customer.example",
        "5.1.1",
        True,
    )


@pytest.mark.parametrize("program", LETTERS)
def test_a_customer_who_passes_a_bounce_on_is_a_customer(program: str):
    _, subject, body = LETTERS[program]
    kim, path = "Kim <kim@customer.example>", "kim@customer.example"
    quoted = "What is this?\n\n> " + body.replace("\n", "\n> ")
    for text, about in ((quoted, f"Re: {subject}"), (body, f"Fwd: {subject}")):
        assert read(kim, about, text, mail_from=path).is_human
    assert read(kim, subject, body, mail_from=path).is_human
    someone = "postmaster@customer.example"
    assert read(someone, f"Re: {subject}", quoted, mail_from=path).is_human


def test_a_bounce_that_is_attached_is_not_the_mail_itself():
    more = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
    body = (
        "--b\n\nPlease look at the attached mail.\n--b\nContent-Type: message/rfc822\n"
        f"\n{report_of('Action: failed', head=True)}\n--b--\n"
    )
    kim = "Kim <kim@customer.example>"
    assert read(kim, "Fwd: failure notice", body, more=more, mail_from="kim@x").is_human


def report_of(fields: str, *, head: bool = False) -> str:
    top = f"From: {DAEMON}\nContent-Type: {REPORT}\n\n" if head else ""
    return (
        f"{top}--r\n\nIt failed: 550 5.1.1 no such user.\n--r\n"
        "Content-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; mx.example\n\n"
        f"Final-Recipient: rfc822; kim@customer.example\n{fields}\n--r\n"
        "Content-Type: text/rfc822-headers\n\nMessage-ID:\n <1@example.com>\n"
        f"Subject: =?utf-8?q?Re:_H=C3=A4lp?=\n--r--\n"
    )


REPORT = "multipart/report; report-type=delivery-status; boundary=r"


def reported(fields: str) -> Recognised:
    more = f"Content-Type: {REPORT}\n"
    return read(DAEMON, "Undelivered", report_of(fields), more=more)


def only(found: Recognised) -> Recipient:
    assert found.report
    (recipient,) = found.report.recipients
    return recipient


def test_a_report_names_the_mail_that_it_is_about():
    report = reported("Action: failed").report
    assert report
    assert (report.message_id, report.subject) == ("<1@example.com>", "Re: Hälp")


@pytest.mark.parametrize(
    ("fields", "status", "hard"),
    [
        ("Status: 5.1.1", "5.1.1", True),
        ("Status: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 No such user", "5.1.1", True),
        ("Status: 5.2.2\nDiagnostic-Code: smtp; 552 mailbox full", "5.2.2", False),
        ("Status: 5.1.1\nDiagnostic-Code: smtp; 550 over quota", "5.1.1", False),
        ("Status: 5.7.1\nDiagnostic-Code: smtp; 550 blocked: spam", "5.7.1", False),
        ("Status: 4.4.7\nDiagnostic-Code: smtp; timed out", "4.4.7", False),
        ("Status: 5.1.2", "5.1.2", True),
        ("", "5.1.1", True),
    ],
)
def test_hard_is_what_speaks_of_the_address(fields: str, status: str, *, hard: bool):
    kim = only(reported(f"Action: failed\n{fields}"))
    assert (kim.status, kim.is_hard) == (status, hard)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("delayed", Kind.DELAYED),
        ("relayed", Kind.DELIVERED),
        ("DELIVERED (to mailbox)", Kind.DELIVERED),
        ("nonsense", Kind.BOUNCE),
    ],
)
def test_the_action_tells_the_kind(action: str, kind: Kind):
    found = reported(f"Action: {action}\nStatus: 5.1.1")
    assert found.kind is kind
    assert only(found).is_hard is (kind is Kind.BOUNCE)


def test_the_worst_news_of_several_recipients_counts():
    more = "\n\nFinal-Recipient: rfc822; lee@customer.example\nAction: failed"
    report = reported(f"Action: delivered{more}").report
    assert report
    assert report.action is Action.FAILED
    assert [each.action for each in report.recipients] == ["delivered", "failed"]


@pytest.mark.parametrize(
    "body",
    [
        "--r\n\nSorry: <kim@customer.example>: 550 5.1.1 no such user\n--r--\n",
        "--r\nContent-Type: message/delivery-status\n\n\0\0 junk: : :\nAction\n--r--\n",
        (
            "--r\nContent-Type: message/delivery-status\n"
            "Content-Transfer-Encoding: base64\n\n!!!!\n--r--\n"
        ),
        "no delimiter at all",
        "",
    ],
)
def test_m10_a_report_with_junk_or_a_missing_part_is_a_bounce(body: str):
    found = read(DAEMON, "Oh", body, more=f"Content-Type: {REPORT}\n")
    assert (found.kind, found.is_human) == (Kind.BOUNCE, False)
    assert only(found).address in {"", "kim@customer.example"}


def test_a_letter_that_a_mail_is_late_is_no_bounce():
    text = (
        "THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\n"
        "Delivery to the following recipient has been delayed:\n\n"
        "    kim@customer.example\n\nMessage will be retried for 2 more days\n"
    )
    found = read(DAEMON, "Delivery Status Notification (Delay)", text)
    assert found.kind is Kind.DELAYED
    assert only(found).address == "kim@customer.example"


def test_x_failed_recipients_names_them():
    _, subject, body = LETTERS["exim"]
    more = "X-Failed-Recipients: kim@customer.example, lee@customer.example\n"
    report = read(DAEMON, subject, body, more=more).report
    assert report
    assert [each.address for each in report.recipients] == [
        "kim@customer.example",
        "lee@customer.example",
    ]


def test_a_rejection_by_a_filter_is_a_bounce_although_it_is_a_receipt():
    more = (
        "Content-Type: multipart/report; report-type=disposition-notification; "
        "boundary=r\nAuto-Submitted: auto-replied (rejected)\n"
    )
    body = "--r\n\nYour message to <kim@customer.example> was automatically rejected:\n"
    found = read(DAEMON, "Automatically rejected mail", body, more=more)
    assert found.kind is Kind.BOUNCE


@pytest.mark.parametrize(
    "body",
    [
        "a" * 400_000,
        "a@" * 200_000,
        "a@b.example\n" * 40_000,
        "message-id: <" + "a" * 400_000,
        "subject:\n" * 50_000,
        "> \n" * 100_000,
        "5." * 200_000,
        report_of("Action: failed\n" + "X: y\n a\n" * 20_000),
        report_of("\n\n".join(f"Final-Recipient: ;a{n}@b.c" for n in range(9999))),
        "--r\nContent-Type: message/delivery-status\n\nAction: failed\n" * 300,
    ],
)
def test_m10_hostile_reports_cost_little(body: str):
    content = f"From: {DAEMON}\nContent-Type: {REPORT}\n\n{body}".encode()
    mail = parse(content)
    envelope = Envelope(received_at=datetime(2026, 11, 23, tzinfo=UTC))
    start = time.process_time()
    assert recognise(mail, envelope, content).kind is Kind.BOUNCE
    assert time.process_time() - start < 0.1
