from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from otrsd.clock import FakeClock
from otrsd.desk.search import Found, Order, rebuild
from otrsd.model.ticket import Ticket
from otrsd.relay.index_lane import IndexLane
from otrsd.search.backend import State
from otrsd.search.whoosh import WhooshIndex
from otrsd.store import index_todo
from otrsd.store.engine import Database

Open = Callable[..., Ticket]
Find = Callable[..., Found]
Settle = Callable[[], None]


@pytest.fixture
def desk_of_four(open_ticket: Open, settle: Settle, clock: FakeClock) -> None:
    """1 an old bill, 2 a printer, 3 an alarm below infra, 4 in infrared."""
    open_ticket(
        "Anbei die Rechnungen für Müller.",
        subject="Ihre Rechnung 2026-0042",
        sender='"Bob Größer" <Bob.Smith@example.org>',
        to="billing@desk.example, post@desk.example",
        file="Übersicht Straße.pdf",
        customer="bob.smith@example.org",
        queue="billing",
        priority=4,
        tags=("vip",),
    )
    clock.advance(timedelta(days=10))
    open_ticket(
        "The printer is jammed again.",
        subject="printer jam",
        sender="eve@sub.example.org",
        customer="eve@sub.example.org",
        owner="jane",
    )
    open_ticket("PROBLEM: db1.example.org DOWN", queue="infra::dns", state="open")
    open_ticket("50% of warmth_x", queue="infrared", state="closed successful")
    settle()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("rechnung", [1]),
        ("Mueller", [1]),
        ("muller", [1]),
        ("ubersicht", [1]),
        ("strasse", [1]),
        ("groesser", [1]),
        ("2026-0042", [1]),
        ("0042", [1]),
        ("bob.smith@example.org", [1]),
        ('"rechnungen für müller"', [1]),
        ('"müller rechnungen"', []),
        ("print*", [2]),
        ("printing jams", [2]),
        ("subject:jam", [2]),
        ("subject:jammed", [2]),
        ("body:rechnung subject:rechnung", [1]),
        ("db1.example.org", [3]),
        ("-printer", [4, 3, 1]),
        ("NOT printer queue:billing", [1]),
        ("printer OR queue:infra", [3, 2]),
        ("(printer OR down) state:open", [3]),
        ("queue:infra", [3]),
        ("queue:=infra", []),
        ("queue:INFRA*", [4, 3]),
        ("queue:billing,support", [2, 1]),
        ("state:open", [3]),
        ("is:closed", [4]),
        ("is:new", [2, 1]),
        ("priority:>=high", [1]),
        ("priority:3", [4, 3, 2]),
        ("owner:Jane", [2]),
        ("owner:none", [4, 3, 1]),
        ("owner:*", [2]),
        ("tag:vip", [1]),
        ("-tag:vip", [4, 3, 2]),
        ("number:2026112310000011", [1]),
        ("number:20261123*", [1]),
        ("from:bob.smith@example.org", [1]),
        ("from:smith@example.org", []),
        ("from:größer", [1]),
        ("from:@example.org", [1]),
        ("from:example.org", [2, 1]),
        ("from:*@sub.example.org", [2]),
        ("from:ample.org", []),
        ("to:post@desk.example", [1]),
        ("to:desk.example", [1]),
        ("customer:eve@sub.example.org", [2]),
        ("customer:example.org", [2, 1]),
        ("age:>3d", [1]),
        ("age:<3d", [4, 3, 2]),
        ("created:2026-11-23", [1]),
        ("created:2026-12-01..", [4, 3, 2]),
        ("rechnung age:<3d", []),
        ("", [4, 3, 2, 1]),
    ],
)
@pytest.mark.usefixtures("desk_of_four")
def test_tickets_are_found(find: Find, text: str, ids: list[int]):
    assert [t.id for t in find(text).tickets] == ids


@pytest.mark.usefixtures("desk_of_four")
def test_pages_have_no_cap(find: Find):
    for text in ("", "-zebra", "is:open,closed OR zebra"):
        page = find(text, limit=3)
        assert [t.id for t in page.tickets] == [4, 3, 2]
        assert [t.id for t in find(text, limit=3, after=page.next).tickets] == [1]


@pytest.mark.usefixtures("desk_of_four")
def test_results_can_be_sorted_by_the_last_change(find: Find):
    first = find("queue:billing OR printer", order=Order.UPDATED, limit=1)
    assert [t.id for t in first.tickets] == [2]
    rest = find("queue:billing OR printer", order=Order.UPDATED, after=first.next)
    assert [t.id for t in rest.tickets] == [1]


def test_a_new_article_is_found_after_a_turn_and_its_row_is_gone(
    database: Database, open_ticket: Open, find: Find, settle: Settle
):
    settle()
    ticket = open_ticket("Blumenkübel")
    with database.read() as connection:
        assert index_todo.lag(connection).count == 1
    settle()
    assert [t.id for t in find("blumenkuebel").tickets] == [ticket.id]
    with database.read() as connection:
        assert index_todo.lag(connection) == index_todo.Lag(count=0, oldest=None)


def test_a_row_is_paid_within_two_seconds(
    open_ticket: Open, find: Find, lane: IndexLane, clock: FakeClock
):
    lane.turn()
    open_ticket("Blumenkübel")
    waited = 0.0
    while not find("blumenkuebel").tickets:
        wait = lane.turn()
        waited += wait
        clock.advance(timedelta(seconds=wait))
        assert waited < 2.0


def test_rows_paid_twice_give_one_hit(
    database: Database, open_ticket: Open, find: Find, settle: Settle, clock: FakeClock
):
    ticket = open_ticket("Blumenkübel")
    settle()
    with database.write() as connection:
        index_todo.add(connection, [1], clock.now())
    settle()
    assert [t.id for t in find("blumenkübel").tickets] == [ticket.id]


def test_while_somebody_rebuilds_rows_are_kept_and_paid_again(
    database: Database,
    index: WhooshIndex,
    open_ticket: Open,
    find: Find,
    settle: Settle,
):
    settle()
    open_ticket("Blumenkübel")
    with index.folder.rebuilding():
        settle()
        assert len(find("blumenkuebel").tickets) == 1
        with database.read() as connection:
            assert index_todo.lag(connection).count == 1
    settle()
    assert len(find("blumenkuebel").tickets) == 1
    with database.read() as connection:
        assert index_todo.lag(connection).count == 0


def test_a_rebuild_counts_and_finds_everything(
    database: Database, index: WhooshIndex, open_ticket: Open, find: Find
):
    for n in range(5):
        open_ticket(f"wort{n}")
    seen: list[tuple[int, int]] = []
    assert find("wort3").index.state is State.MISSING
    rebuild(database, index, lambda done, total: seen.append((done, total)))
    assert seen == [(5, 5)]
    assert [t.id for t in find("wort3").tickets] == [4]


def test_an_index_ahead_of_a_restored_database_is_rebuilt(
    database: Database, index: WhooshIndex, lane: IndexLane, clock: FakeClock
):
    lane.turn()
    from otrsd.search.backend import Document

    index.apply([Document(article_id=99, ticket_id=9, body="Geist")])
    IndexLane(database, index, clock).turn()
    assert index.newest() == 0
