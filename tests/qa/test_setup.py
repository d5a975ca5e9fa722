"""Set-up says what it lacks, and does nothing where nothing has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qa.conftest import ROOT

#: What set-up needs beside Python, before it has found one.
TOOLS = ("sh", "dirname", "cat", "head", "tail", "pwd", "mktemp", "rm")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Give a folder of commands in which there is no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        place = shutil.which(tool)
        if place:
            (folder / tool).symlink_to(place)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a copy of the scripts in a folder with blanks in its name."""
    folder = tmp_path / "a tree"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(tree: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", tree / "scripts" / "run"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(path)},
    )


def test_no_python_is_told(tree: Path, bare: Path):
    done = run(tree, bare)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "No Python at all" in done.stderr


def test_an_old_python_is_named_with_its_version(tree: Path, bare: Path):
    old = bare / "python3"
    old.write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2\nexit 1\n")
    old.chmod(0o755)
    done = run(tree, bare)
    assert done.returncode == 1
    assert f"{old}: Python 3.9.2" in done.stderr


def is_of_this_tree() -> bool:
    """Tell whether scripts/setup of this tree made the environment.

    In another tree's it would install anew, and take it away from that tree.
    """
    stamp = Path(sys.prefix) / "otrsd-stamp"
    return stamp.exists() and stamp.read_text().startswith(f"{ROOT} ")


@pytest.mark.skipif(
    not is_of_this_tree(),
    reason="this environment was not made by this tree's scripts/setup",
)
def test_a_second_run_installs_nothing():
    done = subprocess.run(
        ["/bin/sh", "-euc", f'root="{ROOT}"; . "$root/scripts/setup"'],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "OTRSD_VENV": sys.prefix},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
