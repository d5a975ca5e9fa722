"""``--dev``: what counts as a change, and lines for the eye."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.clock import FakeClock
from otrsd.daemon.dev import Watch, dressed
from otrsd.daemon.lines import Lines


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("otrsd.yaml", "config/10.yaml", "plugins/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n")
    return tmp_path


def looks(watch: Watch, clock: FakeClock, count: int = 4) -> int:
    """Look so often, a second apart; return how often a change was told."""
    told = 0
    for _ in range(count):
        clock.advance(timedelta(seconds=1))
        told += watch()
    return told


@pytest.fixture
def watch(root: Path, clock: FakeClock) -> Watch:
    return Watch(root, clock, Lines(2, clock))


@pytest.mark.parametrize("name", ["otrsd.yaml", "config/10.yaml", "plugins/a.py"])
def test_saved_file_is_told_once(
    watch: Watch, root: Path, clock: FakeClock, name: str
) -> None:
    assert looks(watch, clock) == 0
    (root / name).write_text("more\n")
    assert looks(watch, clock) == 1


def test_new_and_deleted_files_are_changes(
    watch: Watch, root: Path, clock: FakeClock
) -> None:
    (root / "config/20.yaml").write_text("x\n")
    assert looks(watch, clock) == 1
    (root / "config/20.yaml").unlink()
    assert looks(watch, clock) == 1


def test_what_an_editor_and_python_leave_is_no_change(
    watch: Watch, root: Path, clock: FakeClock
) -> None:
    (root / "plugins/__pycache__").mkdir()
    for name in ("plugins/__pycache__/a.pyc", "config/.10.yaml.swp", "config/10.yaml~"):
        (root / name).write_text("x\n")
    assert looks(watch, clock) == 0


def test_file_that_is_still_being_written_is_waited_for(
    watch: Watch, root: Path, clock: FakeClock
) -> None:
    for size in range(2, 6):
        (root / "config/10.yaml").write_text("x" * size)
        assert looks(watch, clock, 1) == 0
    assert looks(watch, clock) == 1


def test_folder_that_goes_away_is_survived(
    watch: Watch, root: Path, clock: FakeClock
) -> None:
    (root / "config").rename(root / "was")
    assert looks(watch, clock) == 1


@pytest.mark.parametrize(("coloured", "escapes"), [(True, 6), (False, 0)])
def test_line_for_the_eye(clock: FakeClock, *, coloured: bool, escapes: int) -> None:
    reading, writing = os.pipe()
    lines = Lines(writing, clock, dress=dressed(coloured=coloured))
    lines.renamed("relay").info("mail.sent", to="a b\x1b[31m")
    said = os.read(reading, 4096).decode()
    assert said.count("\x1b[") == escapes
    assert said.rstrip().endswith('process=relay to="a b\\x1b[31m"')
    assert "info" in said
    os.close(reading)
    os.close(writing)
