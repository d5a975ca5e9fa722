from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.clock import FakeClock
from otrsd.desk.search import Found
from otrsd.model.ticket import Ticket
from otrsd.relay.index_lane import IndexLane
from otrsd.search.whoosh import WhooshIndex
from otrsd.store import index_todo, schema
from otrsd.store.engine import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/desk.db")
    schema.upgrade(made)
    yield made
    made.close()


def test_a_database_that_is_away_makes_the_lane_wait_longer_and_longer(
    index: WhooshIndex, clock: FakeClock
):
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    lane = IndexLane(nowhere, index, clock)
    assert [lane.turn() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    nowhere.close()


def test_while_rows_keep_coming_a_turn_gathers_them_for_a_second_at_most(
    lane: IndexLane, open_ticket: Callable[..., Ticket], clock: FakeClock
):
    lane.turn()
    waited = 0.0
    for n in range(20):
        open_ticket(f"wort{n}")
        wait = lane.turn()
        clock.advance(timedelta(seconds=wait))
        waited += wait
        if lane._gathering_since is None:
            break
    assert 0.8 <= waited <= 1.4


_LANE = """
import sys
from pathlib import Path
from otrsd.clock import SystemClock
from otrsd.relay.index_lane import IndexLane
from otrsd.search.whoosh import WhooshIndex
from otrsd.store.engine import Database
folder = Path(sys.argv[1])
index = WhooshIndex(folder / "index", SystemClock())
lane = IndexLane(Database(f"sqlite:///{folder}/desk.db"), index, SystemClock())
for _ in range(5):
    lane.turn()
"""


@pytest.mark.parametrize("point", ["relay.leased", "relay.index_committed"])
def test_a_kill_of_the_lane_loses_and_doubles_nothing(  # noqa: PLR0913, PLR0917 - fixtures
    point: str,
    tmp_path: Path,
    database: Database,
    open_ticket: Callable[..., Ticket],
    find: Callable[..., Found],
    settle: Callable[[], None],
    index: WhooshIndex,
    monkeypatch: pytest.MonkeyPatch,
):
    settle()
    ticket = open_ticket("Blumenkübel")
    armed = tmp_path / "armed"
    armed.mkdir()
    (armed / point).touch()
    monkeypatch.setenv("OTRSD_FAILPOINT_DIR", str(armed))
    command = [sys.executable, "-W", "ignore", "-c", _LANE, str(tmp_path)]
    killed = subprocess.run(command, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    with database.read() as connection:
        assert index_todo.lag(connection).count == 1
    settle()
    assert [t.id for t in find("blumenkübel").tickets] == [ticket.id]
    assert index.newest() == 1
    with database.read() as connection:
        assert index_todo.lag(connection).count == 0


def test_an_article_that_is_gone_from_sql_goes_from_the_index(
    database: Database,
    open_ticket: Callable[..., Ticket],
    find: Callable[..., Found],
    settle: Callable[[], None],
    clock: FakeClock,
):
    from otrsd.store.tables import article

    open_ticket("Blumenkübel")
    settle()
    with database.write() as connection:
        connection.execute(article.delete())
        index_todo.add(connection, [1], clock.now())
    settle()
    assert find("blumenkübel").tickets == ()
