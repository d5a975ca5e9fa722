"""One mail to two of our addresses (features.md B16; design.md §7, Duplicates)."""

from __future__ import annotations

from typing import Any

import pytest

from otrsd.postmaster import explain
from otrsd.postmaster.parts import Fate
from otrsd.store import ledger, tickets as rows
from otrsd.store.tables import ledger as table
from otrsd.testing import Site, mail_octets
from tests.postmaster.test_journey import REPLY
from tests.postmaster.writing import configure

BOTH = ("support@example.com", "billing@example.com")
SITE = """
site: {{one_ticket_per_queue: {switch}}}
queues:
  support: {{address: [support@example.com, help@example.com]}}
  billing: {{address: billing@example.com}}
  junk: {{}}
rules:
  moved: {{when: {{subject: to the junk}}, then: {{queue: junk}}}}
  held: {{when: {{subject: hold me}}, then: {{hold: odd}}}}
  gone: {{when: {{subject: SPAM}}, then: {{discard: spam}}}}
"""


@pytest.fixture
def site() -> str:
    return SITE.format(switch="true")


def queues(office: Any) -> list[str]:
    return [ticket.queue for ticket in office.tickets()]


def links(office: Any) -> list[tuple[tuple[int, str], ...]]:
    with office.post.desk.database.read() as connection:
        return [rows.links(connection, each.id) for each in office.tickets()]


def outcomes(office: Any) -> list[tuple[int, str]]:
    with office.post.desk.database.read() as connection:
        found = connection.execute(table.select().order_by(table.c.part))
        return [(row.part, row.outcome) for row in found]


def test_B16_one_ticket_per_queue_and_linked(office: Any, mail: Any):
    office.deliver(mail(), rcpt_tos=BOTH)
    first, second = office.tickets()
    assert queues(office) == ["support", "billing"]
    assert links(office) == [((second.id, "same mail"),), ((first.id, "same mail"),)]
    assert outcomes(office) == [(0, ledger.ARTICLE), (1, ledger.ARTICLE)]


def test_B16_two_addresses_of_one_queue_are_one_ticket(office: Any, mail: Any):
    rcpt = ("support@example.com", "help+x@example.com")
    office.deliver(mail(), rcpt_tos=rcpt)
    assert queues(office) == ["support"]


def test_B16_copies_that_come_one_by_one_are_the_same(office: Any, mail: Any):
    for rcpt in (*BOTH, "help@example.com", "billing@example.com"):
        office.deliver(mail(Received=f"for {rcpt}"), rcpt_tos=(rcpt,))
    assert queues(office) == ["support", "billing"]
    assert links(office)[1] == ((office.tickets()[0].id, "same mail"),)


def test_B16_without_an_envelope_the_header_names_the_queues(office: Any, mail: Any):
    office.deliver(mail(To=", ".join(BOTH)), rcpt_tos=(), channel="pop3")
    office.deliver(mail(To=", ".join(BOTH)), rcpt_tos=BOTH[1:], channel="lmtp")
    assert queues(office) == ["support", "billing"]


def test_B16_a_mail_without_message_id_is_split_and_never_a_copy(
    office: Any, mail: Any
):
    office.deliver(*[mail(message_id="")] * 2, rcpt_tos=BOTH)
    assert queues(office) == ["support", "billing"] * 2
    assert [len(each) for each in links(office)] == [1, 1, 1, 1]


def test_B16_where_a_rule_names_the_queue_one_ticket_is_enough(office: Any, mail: Any):
    office.deliver(mail(subject="to the junk"), rcpt_tos=BOTH)
    for rcpt in BOTH:
        office.deliver(mail(subject="to the junk"), rcpt_tos=(rcpt,))
    assert queues(office) == ["junk"]


def test_B16_an_answer_joins_the_ticket_of_the_queue_it_comes_to(
    office: Any, mail: Any
):
    office.deliver(mail(), rcpt_tos=BOTH)
    office.deliver(mail(**REPLY), rcpt_tos=BOTH[1:])
    first, second = office.tickets()
    assert [len(office.articles(t)) for t in (first, second)] == [1, 2]
    again = {**REPLY, "message_id": "<3@customer.example>"}
    office.deliver(mail(**again), rcpt_tos=BOTH)
    assert [len(office.articles(t)) for t in (first, second)] == [2, 3]


def test_B16_an_answer_to_a_ticket_of_one_queue_stays_one(office: Any, mail: Any):
    office.deliver(mail())
    office.deliver(mail(**REPLY), rcpt_tos=BOTH)
    assert queues(office) == ["support"]
    assert len(office.articles()) == 2


def test_B16_what_is_held_or_discarded_is_so_as_a_whole(office: Any, mail: Any):
    office.deliver(mail(subject="hold me"), rcpt_tos=BOTH)
    office.deliver(mail(subject="SPAM"), rcpt_tos=BOTH)
    assert office.held() == ["rule:held: odd"]
    assert outcomes(office) == [(0, ledger.TRASH)]
    assert queues(office) == []


def test_B16_a_second_delivery_of_the_same_row_is_a_no_op(office: Any, mail: Any):
    from otrsd.spool import Arrival

    office.put(mail(), rcpt_tos=BOTH)
    (claimed,) = office.spool.claim("dead", 1, now=office.clock.now())
    office.spool.give_back([claimed.id], alone=False)
    office.run()
    office.spool.put([Arrival.of(claimed.id, claimed.envelope, [claimed.content])])
    office.run()
    assert queues(office) == ["support", "billing"]


def test_B16_explain_makes_the_same_journey(office: Any, mail: Any):
    office.deliver(mail(), rcpt_tos=BOTH)
    told = explain.stored(office.post, office.ids[0])
    assert [s.what for s in told.steps if "part" in s.what] == [
        "queue support (part 1 of a mail to several queues)",
        "queue billing (part 2 of a mail to several queues)",
    ]
    envelope = told.envelope
    dry = explain.dry_run(office.post, mail().encode(), envelope)
    assert "would be dropped" in dry.end


def test_a_mail_to_every_queue_makes_ten_tickets(office: Any, mail: Any):
    from dataclasses import replace

    from otrsd.postmaster import split
    from otrsd.postmaster.screen import screen

    office.put(mail(), rcpt_tos=tuple(f"q{n}@example.com" for n in range(99)))
    (claimed,) = office.spool.claim("test", 1, now=office.clock.now())

    class Every:
        default_queue = "support"
        queue_of = staticmethod(lambda address: address)
        is_agent = staticmethod(lambda _: False)

    names = [f"q{n}@example.com" for n in range(99)]
    post = replace(office.post, routes=Every(), queues=names)
    assert len(split.parts(post, screen(post, claimed))) == 10


class TestOneTicketByDefault:
    @pytest.fixture
    def site(self) -> str:
        return SITE.format(switch="false")

    def test_B16_the_first_queue_gets_it(self, office: Any, mail: Any):
        office.deliver(mail(), rcpt_tos=BOTH)
        for rcpt in BOTH:
            office.deliver(mail(), rcpt_tos=(rcpt,))
        assert queues(office) == ["support"]


def test_l02_a_mail_of_our_own_to_two_queues_counts_once(otrsd_app: Site):
    configure(otrsd_app, options=", one_ticket_per_queue: true")
    rcpt_tos = ("support@example.com", "silent@example.com")
    fates = []
    for n in range(4):
        octets = mail_octets(f"{n}\n", From="support@example.com")
        fates.append(otrsd_app.deliver(octets, rcpt_tos=rcpt_tos).fate)
    assert fates == [Fate.ARTICLE] * 3 + [Fate.HELD]
    assert len(otrsd_app.app.spool.entries()) == 1
