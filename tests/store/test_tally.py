from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from otrsd.clock import FakeClock
from otrsd.store import schema, tally
from otrsd.store.engine import Database
from otrsd.store.tables import metadata

HOUR = timedelta(hours=1)


def test_it_counts_in_a_window_by_who_and_by_ticket(
    database: Database, clock: FakeClock
):
    with database.write() as connection:
        tally.add(connection, tally.ANSWER, "Kim@x.example", clock.now(), 1)
        clock.advance(HOUR)
        tally.add(connection, tally.ANSWER, "lee@x.example", clock.now(), 2)
        since = clock.now() - HOUR

        def count(**of: object) -> int:
            return tally.count(connection, tally.ANSWER, **{"since": since, **of})  # type: ignore[arg-type]

        assert count() == 1
        assert count(since=since - HOUR) == 2
        assert count(since=since - HOUR, who="kim@X.example") == 1
        found = tally.answered(connection, "kim@X.example", 1, clock.now(), HOUR)
        assert (found.of_ticket, found.in_hour, found.in_day) == (1, 0, 1)
        assert tally.count(connection, tally.LOOP, since=since - HOUR) == 0


def test_what_is_old_is_forgotten(database: Database, clock: FakeClock):
    with database.write() as connection:
        tally.add(connection, tally.LOOP, "a", clock.now())
        clock.advance(tally.KEEP + HOUR)
        tally.add(connection, tally.LOOP, "b", clock.now())
        table = sa.text("SELECT count(*) FROM tally")
        assert connection.execute(table).scalar_one() == 1


def test_the_steps_make_what_the_tables_say(database: Database):
    with database.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [each for each in found if "tally" in str(each)] == []


def test_a_step_that_was_killed_is_done_again(database: Database):
    """As MariaDB leaves it, where DDL commits by itself."""
    with database.write() as connection:
        for table in ("tally", "part_text"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
            if database.dialect in {"mysql", "mariadb"}:
                connection.execute(sa.text(f"CREATE TABLE {table} (id BIGINT)"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    schema.upgrade(database)
    schema.require(database)
    with database.read() as connection:
        assert tally.count(connection, "loop", since=FakeClock().now()) == 0
