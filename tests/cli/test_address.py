"""otrsd address and ticket show: what came back, and forgetting it."""

from __future__ import annotations

import pytest

from otrsd.desk import replies
from otrsd.desk.replies import Answer
from otrsd.desk.tickets import Who
from otrsd.testing import Site
from tests.cli.conftest import Golden, MakeMail, Otrsd

REPORT = """\
--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; kim@customer.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User \x1b[31munknown
--b
Content-Type: text/rfc822-headers

Message-ID: {message_id}
--b--
"""


@pytest.fixture
def number(site: Site, make_mail: MakeMail) -> str:
    """Give the number of a ticket whose customer can't be reached."""
    first = site.deliver(make_mail(Message_ID="<1@customer.example>"))
    with site.app.desk().unit() as unit:
        ticket = unit.ticket(first.ticket_id or 0)
        assert ticket
        who = Who(actor="joe", cause="cli")
        replies.reply(unit, site.app.letterhead(), ticket, Answer(text="Yes."), who)
    ours = site.articles(ticket.id)[-1].message_id
    kind = "multipart/report; report-type=delivery-status; boundary=b"
    body = REPORT.format(message_id=ours)
    site.deliver(make_mail(body, From="MAILER-DAEMON@x.example", Content_Type=kind))
    return ticket.number


def test_the_marked_addresses_are_listed(otrsd: Otrsd, number: str, golden: Golden):
    golden("address-list", otrsd("address", "list").out)
    (kim,) = otrsd("address", "list", "--json").json
    assert (kim["times"], kim["ticket"], kim["is_muted"]) == (1, number, False)


def test_a_mark_is_cleared(otrsd: Otrsd, number: str):
    asked = otrsd("address", "clear", "ALL", "--dry-run")
    assert asked.out == "would clear kim@customer.example\n"
    ran = otrsd("address", "clear", "Kim@customer.example", "--yes")
    assert (ran.code, ran.out) == (0, "cleared Kim@customer.example\n")
    assert otrsd("address", "list").out == ""
    assert otrsd("address", "clear", "kim@customer.example", "--yes").code == 3
    assert "nothing to do" in otrsd("address", "clear", "ALL", "--yes").err


def test_the_ticket_tells_whom_a_mail_did_not_reach(otrsd: Otrsd, number: str):
    told = otrsd("ticket", "show", number)
    line = "undeliverable to kim@customer.example: 550 5.1.1 User \\x1b[31munknown"
    assert told.out.count(line) == 2, "on the report, and on the mail it is about"
    articles = otrsd("ticket", "show", number, "--json").json["articles"]
    assert [len(each["delivery"]) for each in articles] == [0, 1, 1]
