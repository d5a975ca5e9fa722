"""What the tests about the repository itself share."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Where nothing of ours is looked for.
FOREIGN = frozenset({".git", ".venv", "var", "dist", "__pycache__", "node_modules"})
#: Folders and files whose text is ours.
OURS = ("otrsd", "plugins", "config", "scripts", "bench", "tests", "docs", ".ci")


def files_of_tree() -> Iterator[Path]:
    """Yield every file of ours, but what a program has made."""
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for name in OURS:
        for folder, folders, files in os.walk(ROOT / name):
            folders[:] = [one for one in folders if one not in FOREIGN]
            yield from (Path(folder, one) for one in files if not one.endswith(".pyc"))


def modules_of(*folders: str) -> list[Path]:
    """Return every Python file in these folders of the repository."""
    found = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    return sorted(path for path in found if not FOREIGN & set(path.parts))


def imports_of(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
