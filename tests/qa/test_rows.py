"""Every row of hostile input that we promise to bear has a test that names it.

A row is named in the name of a test (``test_k02_a_stranger…``) or of a dialog
(``S01-….txt``). Rows that nothing can show yet stand in ``WAITING``, with what they
wait for, so that none is forgotten; a row that has its test must leave that list.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.qa.conftest import ROOT, modules_of

#: Group → how many rows it has (the project's list of bad input and attacks).
GROUPS = {"s": 26, "h": 27, "m": 18, "a": 12, "k": 16, "l": 8, "p": 9, "i": 8}
ROWS = {f"{group}{n:02}" for group, most in GROUPS.items() for n in range(1, most + 1)}
WAITING = {
    "k15": "agents: an internal article stays internal when the customer answers all",
    "l06": "storms: 10,000 mails of a flapping service are one ticket and a digest",
    "l07": "storms: recovery before its problem, and both at once on two nodes",
    "l08": "agents: an agent's absence answers our notification",
}
_IN_TEST = re.compile(r"(?<=_)[shmaklpi]\d\d(?=_|$)", re.IGNORECASE)
_IN_DIALOG = re.compile(r"[SHMAKLPI]\d\d(?=-)")


def named() -> Iterator[str]:
    for path in modules_of("tests"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _IN_TEST.findall(node.name.lower())
    for path in (ROOT / "tests").rglob("dialogs/*"):
        yield from (found.lower() for found in _IN_DIALOG.findall(path.name))


def test_every_row_has_a_test_or_waits_for_something():
    assert sorted(ROWS - set(named()) - set(WAITING)) == []


def test_no_row_waits_that_has_its_test():
    assert sorted(set(named()) & set(WAITING)) == []
