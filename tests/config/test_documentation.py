"""docs/configuration.md says what the program does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from otrsd.config.load import Examined
from otrsd.config.models import (
    Crypto,
    FetchAccount,
    Listener,
    Plugins,
    Queue,
    Send,
    Site,
    Spool,
    Trash,
)
from otrsd.language.actions import _SETTINGS
from otrsd.language.conditions import ADDRESSES, TEXTS, WORDS
from otrsd.language.letters import NAMES, compile_letters
from otrsd.language.query import FIELDS, parse_query
from otrsd.language.rules import compile_rules
from otrsd.language.tree import each_test

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
FETCH = (Path(__file__).parents[2] / "docs" / "howto" / "fetch.md").read_text()
ON_FETCHING = re.findall(r"```yaml\n(.*?)```", FETCH, re.DOTALL)
HOWTO = (Path(__file__).parents[2] / "docs" / "howto" / "send.md").read_text()
HOWTOS = (Path(__file__).parents[2] / "docs" / "howto").glob("se*.md")
IN_HOWTOS = [
    text
    for path in HOWTOS
    for text in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)
]
SEARCHES = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()


@pytest.mark.parametrize("text", [*EXAMPLES, *IN_HOWTOS, *ON_FETCHING])
def test_each_example_is_a_site_without_a_problem(
    text: str, site: Callable[..., Examined]
) -> None:
    examined = site(text)
    assert [problem.render() for problem in examined.problems] == []
    assert examined.config is not None
    config = examined.config
    assert compile_rules(config.rules, queues=config.queues).problems == ()
    letters = compile_letters(config.templates, queues=config.queue_nodes)
    assert letters.problems == ()


def test_each_name_of_a_template_is_explained() -> None:
    names = [name for members in NAMES.values() for name in members]
    assert [name for name in names if f".{name}`" not in HOWTO] == []


@pytest.mark.parametrize("text", SEARCHES)
def test_each_search_is_understood(text: str) -> None:
    query = parse_query(text, now=datetime(2026, 11, 23, tzinfo=UTC))
    assert list(each_test(query.tree))


@pytest.mark.parametrize(
    "model", [Site, Listener, Send, FetchAccount, Crypto, Queue, Plugins, Spool, Trash]
)
def test_each_key_is_in_the_example(model: type[BaseModel]) -> None:
    # A member that no file may set has no name that a file could write.
    keys = [
        field.alias or key
        for key, field in model.model_fields.items()
        if key != "nodes"
        and (
            not isinstance(field.validation_alias, str)
            or field.validation_alias.strip()
        )
    ]
    assert [key for key in keys if f"{key}:" not in EXAMPLES[0]] == []


@pytest.mark.parametrize("names", [ADDRESSES, TEXTS, WORDS, _SETTINGS, FIELDS])
def test_each_word_of_the_language_is_explained(names: Any) -> None:
    assert [name for name in names if f"`{name}`" not in PAGE] == []
