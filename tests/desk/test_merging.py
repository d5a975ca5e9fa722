"""Merge: nothing moves, everything follows (features.md 2.13, C8)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from otrsd.desk import merging, tickets
from otrsd.desk.unit import Desk, Unit
from otrsd.errors import ConflictError, InputError
from otrsd.model.changes import Changes
from otrsd.model.ticket import Ticket
from otrsd.store import articles, history, tickets as rows
from otrsd.store.engine import Database
from tests.desk.test_tickets import WHO, history_of, mail, opened, stored


def merged(desk: Desk, ticket: Ticket, main: Ticket) -> Ticket:
    with desk.unit() as unit:
        merging.merge(unit, stored_in(unit, ticket), stored_in(unit, main), WHO)
    return stored(desk, ticket.id)


def stored_in(unit: Unit, ticket: Ticket) -> Ticket:
    found = unit.ticket(ticket.id)
    assert found is not None
    return found


def test_D14_a_merged_ticket_is_closed_says_so_and_points_on(
    desk: Desk, database: Database
):
    one, main = opened(desk, open_key="host/web"), opened(desk)
    now = merged(desk, one, main)
    assert (now.state, now.merged_into, now.open_key) == ("merged", main.id, None)
    assert stored(desk, main.id).open_key == "host/web"
    with database.read() as connection:
        note = articles.of_ticket(connection, one.id)[-1]
        assert rows.links(connection, main.id) == ((one.id, "merged"),)
    assert note.visible_to_customer
    assert main.number in note.text
    assert history_of(database, one)[1:] == ["Merged", "AddNote", "StateUpdate"]
    assert history_of(database, main)[1:] == ["TicketLinkAdd", "Merged"]


def test_H2_nothing_moves_and_both_are_read_as_one(desk: Desk, database: Database):
    one, main = opened(desk), opened(desk)
    with database.read() as connection:
        before = history.of_ticket(connection, one.id)
    merged(desk, one, main)
    with database.read() as connection:
        ids = merging.all_of(connection, main)
        texts = [each.ticket_id for each in articles.of_ticket(connection, *ids)]
        assert history.of_ticket(connection, one.id)[: len(before)] == before
    assert texts == [one.id, main.id, one.id]


def test_the_people_of_both_take_part_up_to_the_cap(desk: Desk, database: Database):
    one, main = opened(desk), opened(desk)
    with desk.unit() as unit:
        tickets.join(unit, one, [f"p{n}@example.org" for n in range(40)])
        tickets.join(unit, main, [f"q{n}@example.org" for n in range(40)])
    merged(desk, one, main)
    with database.read() as connection:
        people = rows.participants(connection, main.id)
    assert len(people) == tickets.MAX_PARTICIPANTS


def test_C8_ten_merges_are_followed_and_an_eleventh_is_refused(desk: Desk):
    chain = [opened(desk) for _ in range(12)]
    for one, main in pairwise(chain[:11]):
        merged(desk, one, main)
    with desk.unit() as unit:
        assert merging.followed(unit, stored_in(unit, chain[0])).id == chain[10].id
    with pytest.raises(InputError, match="10 merges"):
        merged(desk, chain[10], chain[11])
    merged(desk, chain[11], chain[10])


def test_no_merge_makes_a_circle(desk: Desk):
    one, main = opened(desk), opened(desk)
    with pytest.raises(InputError, match="into itself"):
        merged(desk, one, one)
    merged(desk, one, main)
    for again in ((main, one), (one, main)):
        with pytest.raises(InputError, match="is merged"):
            merged(desk, *again)


def test_a_ticket_that_somebody_changed_meanwhile_is_not_merged(desk: Desk):
    one, main = opened(desk), opened(desk)
    with desk.unit() as unit:
        tickets.change(unit, one, Changes(priority=5), WHO)
    with pytest.raises(ConflictError), desk.unit() as unit:
        merging.merge(unit, one, main, WHO)
    assert stored(desk, one.id).merged_into is None


def test_O06_agents_see_that_participants_were_cut(desk: Desk, database: Database):
    many = tuple(f"p{n}@example.org" for n in range(1000))
    with desk.unit() as unit:
        article = mail()
        article = type(article)(
            kind=article.kind,
            sender_type=article.sender_type,
            visible_to_customer=True,
            participants=many,
        )
        ticket, _ = tickets.create(unit, Changes(queue="q", title="x"), article, WHO)
    with database.read() as connection:
        assert len(rows.participants(connection, ticket.id)) == 50
        cut = next(
            r for r in history.of_ticket(connection, ticket.id) if r.type == "Misc"
        )
    assert cut.data["suppressed"] == "950 participants"
