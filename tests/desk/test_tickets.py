from __future__ import annotations

import pytest

from otrsd.desk import tickets
from otrsd.desk.numbers import check_digit, is_number
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.unit import Desk
from otrsd.errors import ConflictError, InputError
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.model.ticket import Ticket
from otrsd.store import figures, history
from otrsd.store.engine import Database

WHO = Who(actor="anna@example.org", cause="mail")


def mail(text: str = "It burns.") -> NewArticle:
    return NewArticle(
        kind=ArticleKind.MAIL_IN,
        sender_type=SenderType.CUSTOMER,
        visible_to_customer=True,
        text=text,
        participants=("anna@example.org",),
    )


def opened(desk: Desk, **values: object) -> Ticket:
    """Open one ticket and return it as stored."""
    wanted = {"queue": "support", "title": "Printer on fire", **values}
    with desk.unit() as unit:
        ticket, _ = tickets.create(unit, Changes(**wanted), mail(), WHO)  # type: ignore[arg-type]
    return stored(desk, ticket.id)


def stored(desk: Desk, ticket_id: int) -> Ticket:
    with desk.unit() as unit:
        found = unit.ticket(ticket_id)
    assert found is not None
    return found


def history_of(database: Database, ticket: Ticket) -> list[str]:
    with database.read() as connection:
        return [row.type for row in history.of_ticket(connection, ticket.id)]


def test_C9_a_new_ticket_has_otrs_date_number_with_check_digit(desk: Desk):
    ticket = opened(desk)
    assert ticket.number == "2026112310000011"
    assert is_number(ticket.number)


def test_C9_the_check_digit_ten_becomes_one():
    assert check_digit("05") == "1"
    assert check_digit("202611231000001") == "1"


def test_C10_numbers_are_gapless_over_a_rolled_back_batch(desk: Desk):
    first = opened(desk)
    with pytest.raises(InputError), desk.unit() as unit:
        tickets.create(unit, Changes(queue="support", title="x"), mail(), WHO)
        tickets.create(unit, Changes(state="no such state"), mail(), WHO)
    assert int(opened(desk).number[:-1]) == int(first.number[:-1]) + 1


def test_H1_every_change_writes_a_history_row(desk: Desk, database: Database):
    ticket = opened(desk)
    wanted = Changes(queue="billing", state="open", priority=5, tags=("vip",))
    with desk.unit() as unit:
        tickets.change(unit, ticket, wanted, WHO)
    assert history_of(database, ticket) == [
        "NewTicket",
        "Move",
        "StateUpdate",
        "PriorityUpdate",
        "TagUpdate",
    ]


def test_H1_a_change_to_the_same_value_writes_nothing(desk: Desk, database: Database):
    ticket = opened(desk)
    with desk.unit() as unit:
        tickets.change(unit, ticket, Changes(queue=ticket.queue, priority=3), WHO)
    assert history_of(database, ticket) == ["NewTicket"]


def test_H2_the_history_refuses_update_and_delete(desk: Desk, database: Database):
    import sqlalchemy as sa

    opened(desk)
    for statement in ("UPDATE history SET actor = 'x'", "DELETE FROM history"):
        refused = pytest.raises(sa.exc.DBAPIError, match="append-only")
        with refused, database.write() as connection:
            connection.execute(sa.text(statement))


def test_H2_the_chain_shows_a_changed_payload(desk: Desk, database: Database):
    import sqlalchemy as sa

    for _ in range(3):
        opened(desk)
    with database.write() as connection:
        assert history.verify(connection, b"k" * 32) is None
        connection.execute(
            sa.text("UPDATE history_payload SET data = '{}' WHERE seq = 2")
        )
        assert history.verify(connection, b"k" * 32) == 2


def test_two_agents_never_overwrite_each_other_silently(desk: Desk):
    ticket = opened(desk)
    with desk.unit() as unit:
        tickets.change(unit, ticket, Changes(queue="billing"), WHO)
    with pytest.raises(ConflictError), desk.unit() as unit:
        tickets.change(unit, ticket, Changes(queue="sales"), WHO)


def test_only_an_active_ticket_holds_its_open_key(desk: Desk):
    ticket = opened(desk, open_key="nagios/mon1|web1|HTTP")
    with desk.unit() as unit:
        closed = tickets.change(unit, ticket, Changes(state="closed successful"), WHO)
    assert closed.open_key is None
    assert opened(desk, open_key="nagios/mon1|web1|HTTP").open_key


def test_O06_participants_are_capped_at_fifty(desk: Desk):
    many = tuple(f"a{n}@example.org" for n in range(200))
    article = NewArticle(
        kind=ArticleKind.MAIL_IN,
        sender_type=SenderType.CUSTOMER,
        visible_to_customer=True,
        participants=many,
    )
    with desk.unit() as unit:
        ticket, _ = tickets.create(unit, Changes(queue="q", title="t"), article, WHO)
        assert len(unit.participants(ticket.id)) == 50


def test_a_nul_in_a_mail_reaches_no_database(desk: Desk):
    assert opened(desk, title="a\0b").title == "a\ufffdb"


def test_H10_a_new_title_is_owed_to_the_index(desk: Desk, database: Database):
    from otrsd.store import index_todo

    ticket = opened(desk)
    with database.write() as connection:
        owed = index_todo.owed(connection, limit=9)
        index_todo.delete(connection, [row.id for row in owed])
    with desk.unit() as unit:
        tickets.change(unit, ticket, Changes(title="Printer is fine again"), WHO)
    with database.read() as connection:
        assert len(index_todo.owed(connection, limit=9)) == 1


def test_what_is_closed_is_counted_once_each_time(desk: Desk, database: Database):
    ticket, shut = opened(desk), opened(desk, state="closed successful")
    for state in ("closed successful", "closed unsuccessful", "open", "removed"):
        with desk.unit() as unit:
            found = unit.ticket(ticket.id)
            assert found is not None
            tickets.change(unit, found, Changes(state=state), WHO)
    with database.read() as connection:
        assert figures.closed(connection) == {shut.queue: 3}


def test_the_oldest_ticket_that_is_open_is_known_by_queue(
    desk: Desk, database: Database
):
    opened(desk, state="closed successful")
    ticket = opened(desk)
    with database.read() as connection:
        assert figures.oldest_active(connection) == {"support": ticket.created_at}
