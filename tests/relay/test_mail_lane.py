from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from otrsd.desk import outgoing as desk_outgoing
from otrsd.errors import ConflictError
from otrsd.mime.parse import parse
from otrsd.model.mail import Address
from otrsd.relay.mail_lane import GIVE_UP, LEASE, PAUSES
from otrsd.store import content, outbox
from otrsd.testing import mail_octets
from tests.relay.conftest import AGENT, KIM, House, Sink

LEE = Address(address="lee@customer.example")
Open = Callable[..., House]


def notes(house: House, ticket_id: int) -> list[str]:
    return [a.text for a in house.site.articles(ticket_id) if a.kind == "note"]


def test_an_answer_arrives_as_it_is_stored(house: Open, sink: Sink):
    opened = house()
    ticket_id = opened.answer()
    opened.run()
    (mail,) = sink.taken
    article = opened.site.articles(ticket_id)[-1]
    assert isinstance(mail.content, bytes)
    assert parse(mail.content).message_id == article.message_id
    with opened.site.app.database.read() as connection:
        assert content.read(connection, article.content_sha256) == mail.content
    assert opened.waiting() == ()
    assert opened.results() == {"sent": 1}


def test_what_is_owed_can_be_seen_before_it_is_tried(house: Open):
    opened = house()
    opened.answer()
    (waiting,) = opened.waiting()
    assert waiting.rcpt_tos == (KIM.address,)
    assert waiting.subject.startswith("[Ticket#")
    assert (waiting.attempts, waiting.reason) == (0, "")
    assert waiting.next_at == opened.site.clock.now()


def test_for_five_days_it_comes_again_less_and_less_often(house: Open, sink: Sink):
    opened = house()
    sink.data = "451 4.3.0 Later"
    ticket_id = opened.answer()
    start = opened.site.clock.now()
    pauses = []
    opened.run()
    while not opened.waiting()[0].is_dead:
        (waiting,) = opened.waiting()
        assert waiting.next_at is not None
        assert waiting.reason == "451 4.3.0 Later"
        pauses.append(waiting.next_at - opened.site.clock.now())
        opened.site.clock.advance(pauses[-1])
        opened.run()
    assert pauses[: len(PAUSES)] == list(PAUSES)
    assert set(pauses[len(PAUSES) :]) == {PAUSES[-1]}
    age = opened.site.clock.now() - start
    assert GIVE_UP <= age < GIVE_UP + PAUSES[-1]
    (note,) = notes(opened, ticket_id)
    assert "451 4.3.0 Later" in note


def test_a_retried_mail_is_the_same_mail(house: Open, sink: Sink):
    opened = house()
    sink.after = "drop"
    opened.answer()
    opened.run()
    sink.after = ""
    opened.site.clock.advance(PAUSES[0])
    opened.run()
    first, second = sink.taken
    assert first.content == second.content
    assert opened.waiting() == ()


def test_a_refusal_for_good_is_a_note_and_waits_for_a_person(house: Open, sink: Sink):
    opened = house()
    sink.rcpt[KIM.address] = "550 5.1.1 No such user \x1b[2J"
    ticket_id = opened.answer()
    opened.run()
    (waiting,) = opened.waiting()
    assert (waiting.is_dead, waiting.attempts) == (True, 1)
    (note,) = notes(opened, ticket_id)
    assert "550 5.1.1 No such user" in note
    assert "\x1b" not in note
    assert opened.results() == {"dead": 1}
    opened.site.clock.advance(timedelta(days=1))
    opened.run()
    assert len(notes(opened, ticket_id)) == 1


def test_a_person_lets_it_go_again_or_drops_it(house: Open, sink: Sink):
    opened = house()
    sink.rcpt[KIM.address] = "550 5.1.1 No such user"
    opened.answer()
    opened.answer()
    opened.run()
    first, second = opened.waiting()
    sink.rcpt.clear()
    with opened.site.app.desk().unit() as unit:
        assert not desk_outgoing.retry(unit, first.id).is_dead
        desk_outgoing.drop(unit, second.id, AGENT)
    opened.run()
    assert (len(sink.taken), opened.waiting()) == (1, ())


@pytest.mark.parametrize("deed", ["retry", "drop"])
def test_what_is_being_sent_is_left_alone(house: Open, deed: str):
    opened = house()
    opened.answer()
    site = opened.site
    with site.app.database.write() as connection:
        (leased,) = outbox.lease(connection, "mail", site.clock.now(), LEASE, 1)
    asked = {
        "retry": lambda unit: desk_outgoing.retry(unit, leased.id),
        "drop": lambda unit: desk_outgoing.drop(unit, leased.id, AGENT),
    }
    with (
        pytest.raises(ConflictError, match="right now"),
        site.app.desk().unit() as unit,
    ):
        asked[deed](unit)
    site.clock.advance(LEASE)
    with site.app.desk().unit() as unit:
        asked[deed](unit)


def test_each_recipient_has_his_own_fate(house: Open, sink: Sink):
    opened = house()
    bad = Address(address="gone@customer.example")
    sink.rcpt = {LEE.address: "451 4.2.1 Busy", bad.address: "550 5.1.1 Gone"}
    ticket_id = opened.answer(to=(KIM, LEE, bad))
    opened.run()
    later, dead = opened.waiting()
    assert (later.rcpt_tos, later.is_dead) == ((LEE.address,), False)
    assert (dead.rcpt_tos, dead.reason) == ((bad.address,), "550 5.1.1 Gone")
    (note,) = notes(opened, ticket_id)
    assert bad.address in note
    assert LEE.address not in note
    sink.rcpt.clear()
    opened.site.clock.advance(PAUSES[0])
    opened.run()
    assert [mail.rcpt_tos for mail in sink.taken] == [[KIM.address], [LEE.address]]


def test_while_the_smarthost_is_away_other_mails_lose_no_try(house: Open):
    opened = house(port=1)
    opened.answer()
    opened.answer()
    assert opened.lane.turn()
    first, second = opened.waiting()
    assert (first.attempts, second.attempts) == (1, 0)
    assert "refused" in first.reason


def test_a_mail_that_breaks_the_smarthost_stops_no_other(house: Open, sink: Sink):
    opened = house()
    opened.answer()
    opened.answer()
    sink.after = "drop"
    opened.lane.turn()
    sink.after = ""
    opened.lane.turn()
    (waiting,) = opened.waiting()
    assert (waiting.attempts, len(sink.taken)) == (1, 2)


def test_waiting_for_a_smarthost_to_be_set_costs_no_day(house: Open, sink: Sink):
    opened = house()
    opened.answer()
    opened.site.clock.advance(timedelta(days=30))
    sink.data = "451 4.3.0 Later"
    opened.run()
    assert not opened.waiting()[0].is_dead


def test_a_lease_that_ran_out_is_due_again(house: Open, sink: Sink):
    opened = house()
    opened.answer()
    owed_now = opened.site.clock.now()
    from otrsd.relay.mail_lane import LEASE
    from otrsd.store import outbox

    with opened.site.app.database.write() as connection:
        assert outbox.lease(connection, "mail", owed_now, LEASE, 1)
    opened.run()
    assert sink.taken == []
    opened.site.clock.advance(LEASE)
    opened.run()
    assert len(sink.taken) == 1


@pytest.mark.parametrize("state", ["closed successful", "open"])
def test_a_closed_ticket_opens_when_its_answer_was_refused(
    house: Open, sink: Sink, state: str
):
    from otrsd.desk import tickets
    from otrsd.model.changes import Changes

    opened = house()
    ticket_id = opened.answer()
    with opened.site.app.desk().unit() as unit:
        ticket = unit.ticket(ticket_id)
        assert ticket is not None
        tickets.change(unit, ticket, Changes(state=state), AGENT)
    sink.data = "554 5.7.1 Spam"
    opened.run()
    assert opened.site.ticket(ticket_id).state == "open"


def test_c8_a_refusal_is_told_on_the_ticket_it_was_merged_into(house: Open, sink: Sink):
    from otrsd.desk import merging

    opened = house()
    ticket_id = opened.answer()
    main_id = opened.site.deliver(mail_octets(Subject="Another")).ticket_id or 0
    with opened.site.app.desk().unit() as unit:
        ticket, main = unit.ticket(ticket_id), unit.ticket(main_id)
        assert ticket is not None
        assert main is not None
        merging.merge(unit, ticket, main, AGENT)
    sink.data = "554 5.7.1 Spam"
    opened.run()
    (note,) = notes(opened, main_id)
    assert "554 5.7.1 Spam" in note
    assert opened.site.ticket(ticket_id).state == "merged"


def test_lost_octets_are_told_and_nothing_is_sent(house: Open, sink: Sink):
    import sqlalchemy as sa

    opened = house()
    ticket_id = opened.answer()
    article = opened.site.articles(ticket_id)[-1]
    with opened.site.app.database.write() as connection:
        connection.execute(
            sa.text("DELETE FROM content WHERE sha256 = :s"),
            {"s": article.content_sha256},
        )
    opened.run()
    assert sink.taken == []
    assert opened.waiting()[0].is_dead
