"""Searches become trees, or an error with its column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from otrsd.errors import InputError
from otrsd.language.query import QueryError, parse_query
from otrsd.language.tree import ANYWHERE, And, Not, Op, Or, Test as Ask, Tree

NOW = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def tree(text: str) -> Tree:
    return parse_query(
        text, now=NOW, timezone=BERLIN, queues=["infra::dns", "junk"], me="anna"
    ).tree


def word(text: str) -> Ask:
    return Ask(field=ANYWHERE, op=Op.WORD, value=text)


def test_words_phrases_and_beginnings() -> None:
    assert tree('printer "paper jam" fus*') == And(
        parts=(
            word("printer"),
            Ask(field=ANYWHERE, op=Op.PHRASE, value="paper jam"),
            Ask(field=ANYWHERE, op=Op.PREFIX, value="fus"),
        )
    )


def test_and_may_be_written() -> None:
    assert tree("a AND b") == tree("a b")
    assert tree("a AND (b OR c) AND NOT d") == tree("a (b OR c) -d")
    assert tree("a and b") == And(parts=(word("a"), word("and"), word("b")))


@pytest.mark.parametrize("text", ["AND", "a AND", "AND a", "a AND OR b", "(a AND) b"])
def test_and_wants_a_condition_on_both_sides(text: str) -> None:
    with pytest.raises(QueryError, match=r"misses a condition|nothing to close"):
        tree(text)


def test_or_binds_looser_than_and() -> None:
    assert tree("a b OR c") == Or(parts=(And(parts=(word("a"), word("b"))), word("c")))
    assert tree("a (b OR c)") == And(
        parts=(word("a"), Or(parts=(word("b"), word("c"))))
    )


def test_a_minus_and_not_exclude() -> None:
    assert tree("-a") == tree("NOT a") == Not(part=word("a"))
    assert tree("well-known") == word("well-known")


def test_nothing_asks_for_everything() -> None:
    assert tree("  ") == And(parts=())


@pytest.mark.parametrize(
    ("text", "field", "op", "value"),
    [
        ("queue:infra", "queue", Op.UNDER, "infra"),
        ("queue:=infra", "queue", Op.EQUALS, "infra"),
        ("queue:infra::dns", "queue", Op.UNDER, "infra::dns"),
        ("QUEUE:inf*", "queue", Op.GLOB, "inf*"),
        ('state:"closed successful"', "state", Op.EQUALS, "closed successful"),
        ("state:closed", "state_type", Op.EQUALS, "closed"),
        ("is:new", "state_type", Op.EQUALS, "new"),
        ("priority:high", "priority", Op.EQUALS, 4),
        ("priority:>=4", "priority", Op.AT_LEAST, 4),
        ("priority:<normal", "priority", Op.LESS, 3),
        ("priority:4..", "priority", Op.AT_LEAST, 4),
        ("owner:none", "owner", Op.EQUALS, ""),
        ("owner:@me", "owner", Op.EQUALS, "anna"),
        ("tag:*", "tag", Op.PRESENT, ""),
        ("number:20261123*", "number", Op.GLOB, "20261123*"),
        ("from:joe@x.org", "from", Op.ADDRESS, "joe@x.org"),
        ("from:@x.org", "from", Op.DOMAIN, "x.org"),
        ("to:x.org", "to", Op.DOMAIN_TREE, "x.org"),
        ('customer:"Bob S"', "customer", Op.CONTAINS, "Bob S"),
        ("subject:fus*", "subject", Op.PREFIX, "fus"),
        ('body:"a b"', "body", Op.PHRASE, "a b"),
        ("age:>3d", "age", Op.MORE, timedelta(days=3)),
        ("created:>-2w", "created", Op.AT_LEAST, NOW - timedelta(weeks=2)),
        (
            "created:>2026-11",
            "created",
            Op.AT_LEAST,
            datetime(2026, 11, 30, 23, tzinfo=UTC),
        ),
        ("created:<2026", "created", Op.LESS, datetime(2025, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_a_field_with_a_value(text: str, field: str, op: Op, value: object) -> None:
    assert tree(text) == Ask(field=field, op=op, value=value)  # type: ignore[arg-type] # any of Value


def test_a_comma_means_any_of() -> None:
    assert tree('tag:a,"b c"') == Or(
        parts=(
            Ask(field="tag", op=Op.EQUALS, value="a"),
            Ask(field="tag", op=Op.EQUALS, value="b c"),
        )
    )


def test_a_day_is_as_long_as_the_clocks_of_the_zone_make_it() -> None:
    assert tree("created:2026-10-25") == And(
        parts=(
            Ask(
                field="created",
                op=Op.AT_LEAST,
                value=datetime(2026, 10, 24, 22, tzinfo=UTC),
            ),
            Ask(
                field="created",
                op=Op.LESS,
                value=datetime(2026, 10, 25, 23, tzinfo=UTC),
            ),
        )
    )


def test_today_is_the_agent_s_today() -> None:
    assert tree("created:today") == tree("created:2026-11-24")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("qeueu:x", "unknown field 'qeueu' (col 1), did you mean 'queue'?"),
        ("a queue: junk", "'queue:' has no value (col 9), remove the space"),
        ("queue:", "'queue:' has no value (col 7), write queue:VALUE"),
        ("tag:a,", "'tag:' has no value (col 7), write tag:VALUE"),
        ("queue:jnk", "there is no queue 'jnk' (col 7), did you mean 'junk'?"),
        ("state:opne", "there is no state 'opne' (col 7), did you mean 'open'?"),
        ("is:opne", "'is:' knows no 'opne' (col 4), did you mean 'open'?"),
        (
            "priority:>hihg",
            "there is no priority 'hihg' (col 11), did you mean 'high'?",
        ),
        ("age:3d", "'age' is older or younger than something (col 5), did you mean"),
        ("age:>3", "'age' wants a duration such as 30s, 15m, 2h, 30d or 1w, not '3'"),
        ("created:2026-13-01", "'2026-13-01' is no date (col 9), write 2026-11-23"),
        ("created:-2w", "'-2w' is a moment, not a day (col 9), did you mean"),
        ("created:..", "a range without ends (col 9)"),
        ("from:/x/", "patterns can't be searched for (col 6), use * and ?"),
        ('a "b', "the quote that starts here is not closed (col 3)"),
        ("a (b", "a '(' is not closed (col 3)"),
        ("a) b", "nothing to close, or nothing between '(' and ')' (col 2)"),
        ("a OR", "'OR' misses a condition beside it (col 3)"),
        ("a - b", "'-' misses a condition beside it (col 3)"),
        ("*jam", "a star stands at the end of a word only (col 1), write jam*"),
        ("http://x.org", "unknown field 'http' (col 1), quote it to search"),
        ("(" * 51, "more than 50 open parentheses (col 51)"),
        ("x" * 4001, "longer than 4,000 characters"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_column(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        tree(text)
    assert str(caught.value).startswith(said)


def test_a_caller_may_allow_fewer_fields() -> None:
    with pytest.raises(QueryError, match="unknown field 'queue'"):
        parse_query("queue:x", fields=["tag"])


@given(st.text(alphabet='ab :,-"()*.<>=@/ORNT', max_size=40))
def test_any_text_is_understood_or_refused_with_a_column(text: str) -> None:
    columns = []
    try:
        parse_query(text, now=NOW)
    except QueryError as error:
        columns.append(error.column)
    assert all(1 <= column <= len(text) + 1 for column in columns)
