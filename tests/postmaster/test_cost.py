"""What a mail asks of the database does not grow with what stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from otrsd.store import articles
from otrsd.testing import Site
from tests.postmaster.writing import deliver

#: A mail in a batch of its own: claim to commit.
MOST = 26


@contextmanager
def counted(site: Site) -> Iterator[list[str]]:
    """Give the statements that the desk's database is asked meanwhile."""
    asked: list[str] = []
    engine = site.app.database.engine

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def site(otrsd_app: Site) -> Site:
    for n in range(60):
        deliver(otrsd_app, n)
    return otrsd_app


def cost(site: Site, n: int, **fields: str) -> int:
    with counted(site) as asked:
        deliver(site, n, **fields)
    return len(asked)


def test_a_new_mail_and_an_answer_cost_a_few_statements(site: Site):
    new = cost(site, 100)
    answer = cost(site, 101, References="<1@customer.example>")
    assert max(new, answer) <= MOST


def test_fifty_references_cost_no_more_than_one(site: Site):
    eve = "eve@evil.example"
    many = " ".join(f"<{n}@customer.example>" for n in range(50))
    one = cost(site, 100, References="<1@customer.example>", From=eve)
    assert cost(site, 101, References=many, From=eve) == one
    one = cost(site, 102, References="<1@customer.example>")
    assert cost(site, 103, References=many) == one


def test_whether_a_customer_was_written_to_is_looked_for_in_his_last_tickets(
    site: Site,
):
    with counted(site) as asked, site.app.database.read() as connection:
        assert not articles.was_written_to(connection, "kim@customer.example")
    (_, statement) = asked
    assert "ORDER BY ticket.id DESC" in statement
    assert "LIMIT" in statement
