"""A customer and an agent write to each other, and two real MTAs carry it."""

from __future__ import annotations

import pytest

from bench.site import composed
from bench.waiting import until
from otrsd.desk.outgoing import outgoing
from otrsd.desk.replies import Answer, reply
from otrsd.desk.tickets import Who
from otrsd.model.article import ArticleKind
from otrsd.model.ticket import Ticket
from tests.neighbours.conftest import House

pytestmark = pytest.mark.slow

BOUNCER = "mailer-daemon@customer.example"
#: Customers to whom nobody else writes: automatic answers to one address are capped.
PAT, SAM = "pat@customer.example", "sam@customer.example"
FIRST = """\
From: Pat <pat@customer.example>
To: support@example.com
Subject: My printer is on fire
Message-ID: <first@customer.example>
Date: Mon, 23 Nov 2026 10:00:00 +0000

What shall I do?
"""


def answer(house: House, ticket: Ticket, text: str) -> None:
    """Answer as an agent does, beside the daemon."""
    with composed(house.site) as app, app.desk().unit() as unit:
        found = unit.ticket(ticket.id)
        assert found is not None
        who = Who(actor="joe", cause="cli")
        reply(unit, app.letterhead(), found, Answer(text=text), who)


def owed(house: House) -> int:
    with composed(house.site) as app, app.database.read() as connection:
        return len(outgoing(connection))


def test_question_receipt_answer_and_thanks_are_one_ticket(house: House):
    house.msmtp("support@example.com", FIRST, sender=PAT)
    ticket = house.case("My printer is on fire", 2).ticket
    tag = f"[Ticket#{ticket.number}]"

    receipt = house.smarthost.next_to(PAT)
    assert receipt.mail_from == ""
    assert receipt["From"] == "Example Support <support@example.com>"
    assert receipt["Subject"].startswith(tag)
    assert receipt["In-Reply-To"] == "<first@customer.example>"
    assert receipt["Auto-Submitted"] == "auto-replied"
    assert ticket.number in receipt.text

    answer(house, ticket, "Use water.")
    told = house.smarthost.next_to(PAT, 1)
    assert told.mail_from == "support@example.com"
    assert told["Subject"] == f"{tag} Re: My printer is on fire"
    assert told["In-Reply-To"] == "<first@customer.example>"
    assert "<first@customer.example>" in told["References"]
    assert told["Auto-Submitted"] == ""
    assert told.text.startswith("Use water.")
    until("nothing is owed", lambda: owed(house) == 0)

    # Neither the subject nor the sender says which ticket; the thread does.
    thread = ("--header", f"In-Reply-To: {told['Message-ID']}")
    house.swaks(
        "support@example.com", "Thanks!", *thread, sender="lee@customer.example"
    )
    case = house.case("My printer is on fire", 4)
    assert [each.kind for each in case.articles] == [
        ArticleKind.MAIL_IN,
        ArticleKind.MAIL_OUT,
        ArticleKind.MAIL_OUT,
        ArticleKind.MAIL_IN,
    ]
    assert case.articles[-1].subject == "Thanks!"
    assert not [each for each in house.cases() if each.ticket.title == "Thanks!"]


def test_a_bounce_of_our_answer_joins_and_is_not_answered(house: House):
    changes = {"first@": "sam@", "Pat": "Sam", "pat@": "sam@", "printer": "kettle"}
    mail = FIRST
    for old, new in changes.items():
        mail = mail.replace(old, new)
    house.msmtp("support@example.com", mail, sender=SAM)
    ticket = house.case("My kettle is on fire", 2).ticket
    answer(house, ticket, "Are you well?")
    told = house.smarthost.next_to(SAM, 1)
    tickets = len(house.cases())
    house.swaks(
        "support@example.com",
        "Undelivered Mail Returned to Sender",
        *("--h-From", f"Mail Delivery System <{BOUNCER}>"),
        *("--header", f"References: {told['Message-ID']}"),
        sender="<>",
    )
    case = house.case("My kettle is on fire", 4)
    assert case.articles[-1].subject == "Undelivered Mail Returned to Sender"
    assert len(house.cases()) == tickets
    until("nothing is owed", lambda: owed(house) == 0)
    assert not [each for each in house.smarthost.taken() if each.to == BOUNCER]
    assert len([each for each in house.smarthost.taken() if each.to == SAM]) == 2
