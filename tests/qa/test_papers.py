"""What the papers say is there: commands, files, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otrsd.config.load import examine
from otrsd.language.rules import compile_rules
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


def test_the_examples_of_the_readme_are_a_valid_site(tmp_path: Path):
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    (tmp_path / "config").mkdir()
    (tmp_path / "otrsd.yaml").write_text("queues: {billing: {}}\n")
    for number, block in enumerate(blocks):
        (tmp_path / "config" / f"{number}.yaml").write_text(block)
    examined = examine(tmp_path / "otrsd.yaml", {})
    assert [problem.render() for problem in examined.problems] == []
    assert examined.config is not None
    rules = compile_rules(examined.config.rules, queues=["billing"])
    assert len(blocks) == 3
    assert [problem.render() for problem in rules.problems] == []
