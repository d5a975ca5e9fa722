"""What all tests share: databases of their own, and skips that CI does not allow."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from otrsd.clock import FakeClock
from otrsd.desk.numbers import Numbers
from otrsd.desk.unit import Desk
from otrsd.store import schema
from otrsd.store.engine import Database
from otrsd.testing import Site

SERVERS = {
    "postgresql": (
        "OTRSD_TEST_POSTGRESQL",
        "postgresql+psycopg://postgres@127.0.0.1/test",
    ),
    "mariadb": ("OTRSD_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1/test"),
}


def missing(what: str) -> None:
    """Skip with one clear line; where CI runs, a missing part is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have it: {what}")
    pytest.skip(what)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an SQLite file with the newest schema, to be copied: tables take time."""
    path = tmp_path_factory.mktemp("upgraded") / "desk.db"
    made = Database(f"sqlite:///{path}")
    schema.upgrade(made)
    made.close()
    return path


@pytest.fixture
def otrsd_app(tmp_path: Path, upgraded: Path) -> Iterator[Site]:
    """Give the throw-away site of plugin authors, its tables made already."""
    site = Site(tmp_path / "site")
    state = site.root / "var"
    state.mkdir(mode=0o700)
    shutil.copy(upgraded, state / "desk.db")
    yield site
    site.close()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=[pytest.mark.postgresql, pytest.mark.slow]),
        pytest.param("mariadb", marks=[pytest.mark.mariadb, pytest.mark.slow]),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give an empty, upgraded database of this test's own, on each kind of server."""
    if request.param == "sqlite":
        upgraded = request.getfixturevalue("upgraded")
        made = Database(f"sqlite:///{shutil.copy(upgraded, tmp_path / 'desk.db')}")
        yield made
        made.close()
    else:
        yield from _on_server(request.param)


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(
        database=database,
        clock=clock,
        numbers=Numbers(system_id=10, timezone="UTC"),
        node="test",
        key=b"k" * 32,
    )


def _on_server(kind: str) -> Iterator[Database]:
    variable, default = SERVERS[kind]
    url = sa.make_url(os.environ.get(variable, default))
    name = f"otrsd_{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except sa.exc.DBAPIError:
        server.dispose()
        missing(f"no {kind} server at {url.render_as_string()} (set {variable})")
    made = Database(url.set(database=name).render_as_string(hide_password=False))
    try:
        schema.upgrade(made)
        yield made
    finally:
        made.close()
        with server.connect() as connection:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            connection.execute(sa.text(f"DROP DATABASE {name}{force}"))
        server.dispose()
