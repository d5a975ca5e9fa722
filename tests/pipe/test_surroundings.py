"""The pipe among many, in a broken installation, under a hostile environment."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipe.conftest import COMMAND, MAIL, Pipe

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "otrsd"
#: Modules that the pipe, or the interpreter for it, imports.
EVIL = (
    "otrsd",
    "os",
    "errno",
    "sitecustomize",
    "usercustomize",
    "_sha256",
    "encodings",
)


def test_i01_a_short_mail_can_not_be_told_from_a_whole_one(
    pipe: Pipe, finished: Callable[[], list[Path]]
):
    # What becomes of the longer copy: tests/postmaster, test_I01.
    assert pipe(content=MAIL[:-10]).returncode == 0
    assert len(finished()) == 1


@pytest.mark.slow
def test_i05_200_pipes_at_once_are_all_stored(
    environ: dict[str, str], drop: Path, finished: Callable[[], list[Path]]
):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = [
        subprocess.Popen(COMMAND, env=environ, stdin=subprocess.PIPE)
        for _ in range(200)
    ]
    for each in running:
        assert each.stdin
        each.stdin.write(MAIL)
        each.stdin.close()
    assert {each.wait(60) for each in running} == {0}
    assert len(finished()) == 200
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds / 200 < 0.060


@pytest.mark.parametrize(
    "command",
    [
        "/nowhere/python /nowhere/otrsd pipe",
        f"{sys.executable} /nowhere/otrsd pipe",
        f"{sys.executable} -c 'import otrsd_that_is_not_there'",
        f"{sys.executable} -c 'raise SystemExit(127)'",
    ],
)
def test_i06_behind_the_lines_of_the_manual_a_broken_installation_is_75(command: str):
    assert "|| exit 75" in (ROOT / "docs" / "howto" / "postfix.md").read_text("utf-8")
    ran = subprocess.run(
        ["sh", "-c", f"{command} || exit 75"],
        check=False,
        input=MAIL,
        stderr=subprocess.DEVNULL,
    )
    assert ran.returncode == 75


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Give a folder of modules that would tell if anybody imported them."""
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in EVIL:
        text = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
        (folder / f"{name}.py").write_text(text)
    return folder


def run(command: list[str], environ: dict[str, str], folder: Path) -> int:
    done = subprocess.run(
        [*command, SCRIPT, "pipe"], check=False, input=MAIL, env=environ, cwd=folder
    )
    return done.returncode


def test_i08_what_lies_around_and_what_is_set_runs_nothing(
    environ: dict[str, str],
    evil: Path,
    tmp_path: Path,
    drop: Path,
    finished: Callable[[], list[Path]],
):
    hostile = {
        "PATH": str(evil),
        "PYTHONSTARTUP": str(evil / "os.py"),
        "LD_LIBRARY_PATH": str(evil),
        "IFS": "/",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    assert run([sys.executable], environ | hostile, evil) == 0
    assert len(finished()) == 1
    assert not (tmp_path / "ran").exists()


def test_i08_isolated_not_even_pythonpath_counts(
    environ: dict[str, str], drop: Path, evil: Path, tmp_path: Path
):
    hostile = {"PYTHONPATH": str(evil), "PYTHONHOME": ""}
    assert run([sys.executable, "-I"], environ | hostile, evil) == 0
    assert not (tmp_path / "ran").exists()


def test_i08_the_command_is_never_setuid():
    assert not SCRIPT.stat().st_mode & 0o6000
