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
from otrsd.config.models import Listener, Plugins, Queue, Site, Spool, Trash
from otrsd.language.actions import _SETTINGS
from otrsd.language.conditions import ADDRESSES, TEXTS
from otrsd.language.query import FIELDS, parse_query
from otrsd.language.rules import compile_rules
from otrsd.language.tree import each_test

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SEARCHES = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_is_a_site_without_a_problem(
    text: str, site: Callable[..., Examined]
) -> None:
    examined = site(text)
    assert [problem.render() for problem in examined.problems] == []
    assert examined.config is not None
    config = examined.config
    assert compile_rules(config.rules, queues=config.queues).problems == ()


@pytest.mark.parametrize("text", SEARCHES)
def test_each_search_is_understood(text: str) -> None:
    query = parse_query(text, now=datetime(2026, 11, 23, tzinfo=UTC))
    assert list(each_test(query.tree))


@pytest.mark.parametrize("model", [Site, Listener, Queue, Plugins, Spool, Trash])
def test_each_key_is_in_the_example(model: type[BaseModel]) -> None:
    # A member that no file may set has no name that a file could write.
    keys = [
        key
        for key, field in model.model_fields.items()
        if not isinstance(field.validation_alias, str) or field.validation_alias.strip()
    ]
    assert [key for key in keys if f"{key}:" not in EXAMPLES[0]] == []


@pytest.mark.parametrize("names", [ADDRESSES, TEXTS, _SETTINGS, FIELDS])
def test_each_word_of_the_language_is_explained(names: Any) -> None:
    assert [name for name in names if f"`{name}`" not in PAGE] == []
