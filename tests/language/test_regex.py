"""Patterns: RE2 alone, with the place of what it refuses."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time

import pytest

from otrsd.language.regex import Pattern, PatternError, glob, prepare


@pytest.mark.parametrize(
    ("written", "offset"),
    [
        ("/a(?=b)/", 2),
        ("/a(?<!b)c/i", 2),
        (r"/(a)\1/", 4),
        ("/(?P<n>a)(?P=n)/", 9),
        ("/a)b/", 2),
        ("/a[b/", 2),
        ("/a/b/g", 5),
        ("//", 1),
        ("/ab\\", 3),
    ],
)
def test_what_re2_refuses_has_a_place(written: str, offset: int) -> None:
    with pytest.raises(PatternError) as caught:
        prepare(written)
    assert caught.value.offset == offset


def test_flags_become_part_of_the_pattern() -> None:
    assert prepare("/^x$/mi") == "(?im)^x$"
    assert Pattern(prepare("/^x$/mi")).search(b"a\nX\nb") == {}


def test_umlauts_are_single_characters() -> None:
    assert Pattern("^M.ller$").search("Müller".encode()) == {}
    assert Pattern("(?i)(?P<n>MÜLLER)").search("müller".encode()) == {"n": "müller"}


def test_a_hostile_pattern_costs_nothing() -> None:
    # A backtracking engine would need longer than the universe has lasted.
    assert Pattern("(a+)+$").search(b"a" * 100_000 + b"!") is None


def test_a_glob_is_about_the_whole_text() -> None:
    assert Pattern(glob("a.b*?")).search(b"a.bcd") == {}
    assert Pattern(glob("a.b*")).search(b"xa.b") is None
    assert Pattern(glob("a*b")).search(b"a\nb") == {}


def test_a_pattern_travels_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Pattern("x"))).search(b"axb") == {}  # noqa: S301 - our own octets


def test_grammar_and_templates_are_not_imported_before_they_are_needed() -> None:
    code = (
        "import sys, otrsd.language.rules, otrsd.language.query;"
        "print(sorted({'lark', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("pattern", "food"),
    [
        (r"/^\s+$/", " " * 50_000 + "a"),
        (r"/^(a+)+$/", "a" * 30_000 + "!"),
        (r"/^(([a-z])+.)+[A-Z]([a-z])+$/", "a." * 40_000),
    ],
)
def test_m18_no_pattern_takes_a_second(pattern: str, food: str) -> None:
    started = time.process_time()
    Pattern(prepare(pattern)).search(food.encode())
    assert time.process_time() - started < 1
