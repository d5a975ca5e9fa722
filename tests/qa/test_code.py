"""Every source file keeps the rules of HACKING.md that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otrsd.failpoint import FAILPOINTS
from tests.qa.conftest import (
    ROOT,
    files_of_tree,
    imports_of,
    modules_of,
)

LONGEST = 400
#: A plugin is one file, so that an operator can take, read and replace it as a whole.
LONGEST_PLUGIN = 700
#: Names that say nothing about what is inside.
EMPTY_WORDS = frozenset({"utils", "util", "helpers", "helper", "manager", "service"})
STDLIB = sys.stdlib_module_names
ALL = modules_of("otrsd", "plugins", "tests", "bench", "scripts")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_module_opens_with_its_purpose():
    # A test module says what it is about by its name.
    spoken = modules_of("otrsd", "plugins", "bench", "scripts", "tests/qa")
    trees = {path: ast.parse(path.read_bytes()) for path in spoken}
    silent = [
        p for p, tree in trees.items() if tree.body and not ast.get_docstring(tree)
    ]
    assert [named(path) for path in silent] == []


def test_every_module_is_short():
    lengths = {named(path): len(path.read_bytes().splitlines()) for path in ALL}
    allowed = {named(path): LONGEST_PLUGIN for path in modules_of("plugins")}
    long = {name: n for name, n in lengths.items() if n > allowed.get(name, LONGEST)}
    assert long == {}


def test_every_name_of_a_file_says_what_is_inside():
    words = {named(path): set(re.split(r"[/._]", named(path))) for path in ALL}
    assert [name for name, found in words.items() if found & EMPTY_WORDS] == []


def test_every_name_of_a_class_says_what_it_is():
    classes = {
        f"{named(path)}: {node.name}"
        for path in ALL
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
        if EMPTY_WORDS & {w.lower() for w in re.findall(r"[A-Z][a-z]+", node.name)}
    }
    assert classes == set()


def test_plugins_use_the_public_surface_alone():
    deep = {
        f"{named(path)}: {name}"
        for path in modules_of("plugins")
        for name in imports_of(path)
        if name.startswith(("otrsd.", "."))
    }
    assert deep == set()


def test_the_pipe_loads_cheap_modules_only():
    """What it loads beyond the bare interpreter, as the interpreter tells it."""
    program = (
        "import sys; bare = set(sys.modules); import otrsd.pipe; "
        "print(*sys.modules.keys() - bare)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("otrsd.pipe")}
    foreign = {name for name in loaded if not re.match(r"otrsd(\.pipe|$)", name)}
    assert {name.split(".")[0] for name in foreign} <= STDLIB
    # Each of these alone costs a third of the interpreter's start, or more.
    assert not foreign & {"argparse", "asyncio", "email", "json", "logging", "pathlib"}
    assert not foreign & {"hashlib", "re", "signal", "socket", "sqlite3", "typing"}


def test_every_failpoint_in_the_list_is_passed_and_no_other():
    found: set[str] = set()
    for path in modules_of("otrsd"):
        if path.name != "failpoint.py":
            text = path.read_text("utf-8")
            found.update(re.findall(r"failpoint\(\s*\"([^\"]+)\"", text))
    assert found == set(FAILPOINTS)


@pytest.mark.parametrize(
    "pattern",
    [
        # Paths of one machine.
        r"(?<![\w.>])/(?:home/[a-z]|Users/|root/)",
        # Marks of unfinished work.
        r"\b(?:[T]ODO|[F]IXME|[X]XX)\b",
    ],
)
def test_no_file_of_ours_holds(pattern: str):
    wrong = [
        f"{named(path)}:{number}: {line.strip()}"
        for path in files_of_tree()
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".sh", ""}
        if path.name not in {"LICENSE", "requirements.lock"}
        for number, line in enumerate(
            path.read_text("utf-8", errors="replace").splitlines(), 1
        )
        if re.search(pattern, line)
    ]
    assert wrong == []


def test_folders_are_ours_and_known():
    known = {"otrsd", "plugins", "config", "tests", "docs", "bench", "scripts"}
    found = {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    }
    assert found - {"var", "dist"} == known
