"""YAML becomes a tree with places, by YAML 1.2's core schema."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from otrsd.config.problem import Source
from otrsd.config.yaml import Document, core_scalar, read


def tree(text: str) -> Document:
    return read(Source(name="x.yaml", text=text))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("9:00", "9:00"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("true", True),
        ("~", None),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("2026-11-23", "2026-11-23"),
        ("1_000", "1_000"),
        (
            "12345678901234567890123456789012345678901",
            "12345678901234567890123456789012345678901",
        ),
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(written: str, meant: object) -> None:
    assert core_scalar(written) == meant
    assert type(core_scalar(written)) is type(meant)


def test_keys_named_on_and_off_stay_text() -> None:
    assert tree("on: 1\noff: 2\nno: 3").root.plain() == {"on": 1, "off": 2, "no": 3}


def test_every_key_and_value_knows_its_place() -> None:
    root = tree("a:\n  bé: [1, 'x']\n").root
    inner = (root.map or {})["a"]
    assert (inner.keys["bé"].line, inner.keys["bé"].column) == (2, 3)
    items = (inner.map or {})["bé"].list or ()
    assert [(item.line, item.column) for item in items] == [(2, 8), (2, 11)]


def test_an_empty_file_is_an_empty_map() -> None:
    assert tree("").root.plain() == {}
    assert tree("# only words\n").root.plain() == {}


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for one, two in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]")
    (problem,) = tree("\n".join(lines)).problems
    assert "too large" in problem.text


def test_a_hundred_aliases_are_enough() -> None:
    text = "a: &a x\nb: [" + ", ".join(["*a"] * 101) + "]"
    assert "more than 100 aliases" in tree(text).problems[0].text
    assert not tree(text.replace("*a, ", "", 1)).problems


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    assert "contains itself" in tree("a: &a [*a]").problems[0].text


def test_a_huge_file_is_not_read() -> None:
    assert "1 MiB" in tree("#" * (1024 * 1024 + 1)).problems[0].text


def test_a_crafted_line_is_shown_without_its_tricks() -> None:
    shown = tree("a: [\u202e\u200b, &x *y\n").problems[0].render()
    assert "\u202e" not in shown
    assert len(shown.splitlines()) <= 3


@given(
    st.text(alphabet=st.sampled_from("ab:-#'\"[]{}&*!|>% \t\n\\\u202eé"), max_size=60)
)
def test_no_text_makes_the_reader_raise(text: str) -> None:
    for problem in tree(text).problems:
        assert problem.file == "x.yaml"
        assert len(problem.render().splitlines()) <= 3
