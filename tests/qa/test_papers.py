"""What the papers say is there: commands, files, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.qa.conftest import ROOT

PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAPERS, ids=named)
def test_links_lead_somewhere(path: Path):
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    inside = [link.split("#")[0] for link in links if "://" not in link]
    assert [one for one in inside if one and not (path.parent / one).exists()] == []


@pytest.mark.parametrize("path", PAPERS, ids=named)
def test_scripts_that_are_named_exist(path: Path):
    names = set(re.findall(r"\bscripts/[a-z]+(?:\.py)?", path.read_text("utf-8")))
    assert {name for name in names if not (ROOT / name).exists()} == set()


def test_the_readme_is_one_screen():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 100
