"""What a shell completes, and the manual page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from otrsd.cli.completion import SHELLS, VARIABLE
from otrsd.cli.main import COMMANDS, cli
from otrsd.cli.man import page
from tests.cli.conftest import Otrsd
from tests.cli.test_manners import ALL, HEAVY, OTRSD, ROOT

PAGE = ROOT / "docs" / "otrsd.1"
#: A shell's program → what prints the answers for "otrsd ti".
ASK = {
    "bash": (
        'source "$1"; COMP_WORDS=(otrsd ti); COMP_CWORD=1; _otrsd_completion otrsd; '
        'echo "${COMPREPLY[@]}"'
    ),
    "fish": "source $argv[1]; complete -C 'otrsd ti'",
}


def asked(words: str, number: int) -> tuple[list[str], str]:
    """Return what the script of a shell gets, and the modules it cost."""
    code = (
        "import sys; from otrsd.cli.main import main\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            VARIABLE: "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(number),
        },
        text=True,
        capture_output=True,
        check=False,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize(
    ("words", "number", "answers"),
    [
        ("otrsd ti", 1, {"ticket"}),
        ("otrsd -c /x ti", 3, {"ticket"}),
        ("otrsd --", 1, {"--config", "--version", "--help"}),
        ("otrsd ticket re", 2, {"reply", "reopen"}),
        ("otrsd completion ", 2, set(SHELLS)),
        ("otrsd run --s", 2, {"--single"}),
    ],
)
def test_tab_completes(words: str, number: int, answers: set[str]):
    assert set(asked(words, number)[0]) == answers


def test_names_of_commands_are_completed_without_loading_them():
    answers, modules = asked("otrsd ", 1)
    assert answers == list(COMMANDS)
    assert not HEAVY & set(modules.split())


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_prints_a_script_for(shell: str, otrsd: Otrsd):
    done = otrsd("completion", shell)
    assert done.code == 0
    assert f"{VARIABLE}={shell}_complete" in done.out


@pytest.mark.parametrize("shell", ASK)
def test_shell_itself_completes(shell: str, otrsd: Otrsd, tmp_path: Path):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} on this machine")
    command = tmp_path / "otrsd"
    command.write_text(f'#!/bin/sh\nexec {OTRSD[0]} {OTRSD[1]} "$@"\n')
    command.chmod(0o755)
    (tmp_path / "script").write_text(otrsd("completion", shell).out)
    words = ["--norc"] if shell == "bash" else ["--no-config"]
    more = ["bash"] if shell == "bash" else []
    done = subprocess.run(
        [program, *words, "-c", ASK[shell], *more, str(tmp_path / "script")],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout.split()[:1] == ["ticket"], done.stderr


def test_zsh_can_read_its_script(otrsd: Otrsd, tmp_path: Path):
    program = shutil.which("zsh")
    if program is None:
        pytest.skip("no zsh on this machine")
    (tmp_path / "_otrsd").write_text(otrsd("completion", "zsh").out)
    load = "autoload -Uz compinit; compinit -u -D; echo $_comps[otrsd]"
    done = subprocess.run(
        [program, "-f", "-c", f"fpath=({tmp_path} $fpath); {load}"],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout.strip() == "_otrsd", done.stderr


def test_shipped_manual_page_is_what_the_commands_say():
    # Else: otrsd man > docs/otrsd.1
    assert PAGE.read_text("utf-8") == page(cli, version("otrsd"))


@pytest.mark.parametrize("name", [n for n in ALL if not hasattr(ALL[n], "commands")])
def test_command_stands_in_the_manual_page(name: str):
    assert f".SS otrsd {name.replace('-', chr(92) + '-')}\n" in PAGE.read_text("utf-8")


def test_manual_page_has_no_letter_that_commands():
    lines = PAGE.read_text("utf-8").splitlines()
    requests = {line.split(" ")[0] for line in lines if line[:1] in {".", "'"}}
    known = {".TH", ".SH", ".SS", ".TP", ".B", ".I", ".PP", ".RI", ".BR", '.\\"'}
    assert requests <= known
    assert not [line for line in lines if re.search(r"\\[^-(e&\"]", line)]


def test_groff_has_nothing_to_say_about_the_manual_page():
    if shutil.which("groff") is None:
        pytest.skip("no groff on this machine")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", PAGE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # Bold letters are struck twice.
    assert "otrsd ticket reply" in re.sub(".\x08", "", done.stdout)
