"""Each seeded mistake is named at its place, in at most three lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrsd.config.load import examine
from otrsd.language.letters import compile_letters
from otrsd.language.rules import compile_rules

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))


def said(path: Path) -> list[str]:
    """Return what `otrsd check` says of one file."""
    examined = examine(path, {})
    problems = examined.problems
    if examined.config is not None:
        config = examined.config
        problems += compile_rules(config.rules, queues=config.queues).problems
        problems += compile_letters(
            config.templates, queues=config.queue_nodes
        ).problems
    return [problem.render() for problem in problems]


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_the_mistake_is_named(path: Path) -> None:
    messages = said(path)
    assert "\n".join(messages) + "\n" == path.with_suffix(".expected").read_text()
    assert all(len(message.splitlines()) <= 3 for message in messages)
    assert len(messages) == 1, "one mistake, one message"


def test_there_are_enough_of_them() -> None:
    assert len(MISTAKES) >= 40
