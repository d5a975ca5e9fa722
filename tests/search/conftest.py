"""An index of one's own, tickets with mails, and searches as an agent types them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.clock import FakeClock
from otrsd.desk import tickets
from otrsd.desk.search import Found, find_tickets
from otrsd.desk.unit import Desk
from otrsd.language.query import parse_query
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.model.ticket import Ticket
from otrsd.relay.index_lane import IndexLane
from otrsd.search.backend import Document
from otrsd.search.whoosh import WhooshIndex
from otrsd.store.engine import Database


@pytest.fixture
def index(tmp_path: Path, clock: FakeClock) -> Iterator[WhooshIndex]:
    made = WhooshIndex(tmp_path / "index", clock)
    yield made
    made.close()


@pytest.fixture
def filled(index: WhooshIndex) -> WhooshIndex:
    """An index of three articles in two tickets."""
    index.rebuild(iter(()), 0, lambda _done, _total: None)
    index.apply(
        [
            Document(article_id=1, ticket_id=1, subject="Drucker kaputt"),
            Document(article_id=2, ticket_id=1, body="Der Papierstau ist weg"),
            Document(article_id=3, ticket_id=2, subject="Rechnung 4711"),
        ]
    )
    return index


@pytest.fixture
def lane(database: Database, index: WhooshIndex, clock: FakeClock) -> IndexLane:
    return IndexLane(database, index, clock)


@pytest.fixture
def settle(lane: IndexLane, clock: FakeClock) -> Callable[[], None]:
    """Let the lane do all there is to do, as time passes."""

    def run() -> None:
        for _ in range(8):
            clock.advance(timedelta(seconds=lane.turn()))
        clock.advance(timedelta(seconds=2))

    return run


@pytest.fixture
def open_ticket(desk: Desk) -> Callable[..., Ticket]:
    """Open a ticket with one mail; words of ``values`` are its columns."""

    def run(text: str = "", **values: object) -> Ticket:
        mail = tickets.NewArticle(
            kind=ArticleKind.MAIL_IN,
            sender_type=SenderType.CUSTOMER,
            visible_to_customer=True,
            subject=str(values.pop("subject", "")),
            text=text,
            from_text=str(values.pop("sender", "")),
            to_text=str(values.pop("to", "")),
            mail={"parts": [{"name": values.pop("file", "")}]},
        )
        customer = str(values.pop("customer", ""))
        wanted = Changes(**{"queue": "support", "title": mail.subject, **values})  # type: ignore[arg-type]
        who = tickets.Who(actor="anna@example.org", cause="mail")
        with desk.unit() as unit:
            ticket, _ = tickets.create(unit, wanted, mail, who, customer=customer)
        return ticket

    return run


@pytest.fixture
def find(
    database: Database, index: WhooshIndex, clock: FakeClock
) -> Callable[..., Found]:
    """Search as an agent types it."""

    def run(text: str, **page: object) -> Found:
        tree = parse_query(text, now=clock.now()).tree
        return find_tickets(database, index, tree, clock=clock, **page)  # type: ignore[arg-type]

    return run
