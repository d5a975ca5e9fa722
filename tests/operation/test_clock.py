"""`otrsd doctor` on the clock: nobody keeps it, or the database has another."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.clock import SystemClock
from otrsd.daemon.timekeeping import is_kept, kernel_error
from otrsd.store import figures
from otrsd.store.engine import Database


@pytest.fixture
def systemd(tmp_path: Path) -> Path:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("error", "kept"),
    [(0, True), (15_999_999, True), (16_000_000, False), (None, None)],
)
def test_kernel_says_whether_the_clock_is_kept(
    systemd: Path, error: int | None, *, kept: bool | None
) -> None:
    assert is_kept(systemd, lambda: error) is kept


@pytest.mark.parametrize(
    "mark", ["run/systemd/container", ".dockerenv", "run/.containerenv"]
)
def test_container_is_never_blamed_for_its_clock(systemd: Path, mark: str) -> None:
    (systemd / mark).touch()
    assert is_kept(systemd, lambda: 16_000_000) is None


def test_machine_without_systemd_is_never_blamed(tmp_path: Path) -> None:
    assert is_kept(tmp_path, lambda: 16_000_000) is None


def test_kernel_can_be_asked_by_anybody() -> None:
    error = kernel_error()
    assert error is None or 0 <= error <= 16_000_000


def test_clock_of_the_databases_server(database: Database) -> None:
    with database.read() as connection:
        found = figures.servers_clock(connection)
    if database.dialect == "sqlite":
        assert found is None
    else:
        assert found is not None
        assert abs(found - SystemClock().now()) < timedelta(seconds=30)
