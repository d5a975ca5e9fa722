"""Which errors of a database mean "not now", and which the mail's own fault."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from otrsd.errors import DatabaseAwayError
from otrsd.store.engine import Database
from otrsd.store.text import storable, unique


def test_P4_a_damaged_file_is_away_and_holds_no_mail(tmp_path: Path):
    (tmp_path / "desk.db").write_bytes(b"not a database at all" * 500)
    database = Database(f"sqlite:///{tmp_path}/desk.db")
    with pytest.raises(DatabaseAwayError), database.write() as connection:
        connection.execute(sa.text("SELECT 1"))
    database.close()


@pytest.mark.parametrize(
    "database",
    [pytest.param("postgresql", marks=[pytest.mark.postgresql, pytest.mark.slow])],
    indirect=True,
)
def test_P4_a_standby_server_is_away(database: Database):
    with pytest.raises(DatabaseAwayError), database.write() as connection:
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        connection.execute(sa.text("UPDATE ticket SET version = 1"))


def test_a_wrong_statement_is_not_away(database: Database):
    with pytest.raises(sa.exc.DBAPIError), database.write() as connection:
        connection.execute(sa.text("SELECT nothing FROM nowhere"))


@pytest.mark.parametrize("text", ["a\0b", "\udcff", "x" * 300, "ü" * 300])
def test_a_long_or_strange_key_stays_unique_and_fits(text: str):
    assert len(unique(text)) <= 190
    assert unique(text) != unique(text + "y")
    assert unique(text) == unique(unique(text))


def test_text_that_fits_is_not_touched():
    assert storable("Müller 👍") == "Müller 👍" == unique("Müller 👍")
