"""The fields of the search language: name → how its value is read.

Each reader gets the context, the field's name, the value and its column, and returns
a tree or raises :class:`QueryError`. Values of a comma list come one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from otrsd.config.problem import did_you_mean
from otrsd.config.values import duration
from otrsd.errors import InputError
from otrsd.language.short import address_test, glob_test
from otrsd.language.tree import And, Op, Test, Tree, Value, either
from otrsd.model.ticket import INACTIVE, PRIORITIES, STATES, StateType


class QueryError(InputError):
    """A search that has no meaning, with its place."""

    def __init__(self, text: str, column: int, suggestion: str = "") -> None:
        self.text = text
        #: Counted from 1.
        self.column = column
        self.suggestion = suggestion
        hint = f", {suggestion}" if suggestion else ""
        super().__init__(f"{text} (col {column}){hint}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a value's meaning may depend on."""

    #: The whole search.
    text: str
    queues: tuple[str, ...] | None
    now: datetime | None
    timezone: tzinfo
    me: str
    #: The value at hand stood in quotes: no stars, no comparisons.
    quoted: bool = False

    def quoting(self, *, quoted: bool) -> Context:
        """Return the same context for a value that was quoted or not."""
        return self if quoted == self.quoted else replace(self, quoted=quoted)


Reader = Callable[[Context, str, str, int], Tree]

_COMPARED = re.compile(r"(>=|<=|>|<)?(.*)", re.DOTALL)
_OPS: Mapping[str, Op] = {
    ">=": Op.AT_LEAST,
    "<=": Op.AT_MOST,
    ">": Op.MORE,
    "<": Op.LESS,
}
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
_PENDING = (StateType.PENDING_REMINDER, StateType.PENDING_AUTO)
_ACTIVE = tuple(kind for kind in StateType if kind not in INACTIVE)
#: Words of ``is:`` → the state types they stand for.
_GROUPS: Mapping[str, tuple[StateType, ...]] = {
    "open": _ACTIVE,
    "active": _ACTIVE,
    "inactive": tuple(INACTIVE),
    "closed": (StateType.CLOSED,),
    "new": (StateType.NEW,),
    "pending": _PENDING,
    "merged": (StateType.MERGED,),
}


def _types(kinds: tuple[StateType, ...]) -> Tree:
    names = sorted(kind.value for kind in kinds)
    return either([Test(field="state_type", op=Op.EQUALS, value=n) for n in names])


def _words(context: Context, name: str, value: str, column: int) -> Tree:
    """Read free text: the index's words, word beginnings and phrases."""
    if context.quoted:
        return Test(field=name, op=Op.PHRASE, value=value)
    bare = value.removesuffix("*")
    if "*" in bare or not bare:
        hint = f"write {bare.replace('*', '') or 'word'}*"
        raise QueryError("a star stands at the end of a word only", column, hint)
    op = Op.WORD if bare == value else Op.PREFIX
    return Test(field=name, op=op, value=bare)


def _text(context: Context, name: str, value: str, _column: int) -> Tree:
    """Read an exact text or a glob."""
    if "*" in value and not context.quoted:
        return glob_test(name, value)
    return Test(field=name, op=Op.EQUALS, value=value)


def _address(context: Context, name: str, value: str, column: int) -> Tree:
    """Read an address in one of its short forms."""
    if value.startswith("/") and not context.quoted:
        raise QueryError("patterns can't be searched for", column, "use * and ?")
    return address_test(name, value)


def _owner(context: Context, name: str, value: str, column: int) -> Tree:
    """Read a login, ``@me`` or ``none``."""
    if value == "none":
        return Test(field=name, op=Op.EQUALS, value="")
    if value == "@me":
        if not context.me:
            raise QueryError("nobody is logged in here", column, "name the login")
        return Test(field=name, op=Op.EQUALS, value=context.me)
    return _text(context, name, value, column)


def _queue(context: Context, name: str, value: str, column: int) -> Tree:
    """Read a queue with its sub-queues; ``=x`` is that one alone."""
    if "*" in value and not context.quoted:
        return glob_test(name, value)
    exact = value.startswith("=")
    queue = value.removeprefix("=")
    if context.queues is not None:
        known = {q.casefold() for q in context.queues}
        known |= {q.rpartition("::")[0] for q in known}
        if queue.casefold() not in known:
            hint = did_you_mean(queue, context.queues)
            raise QueryError(f"there is no queue '{queue}'", column, hint)
    return Test(field=name, op=Op.EQUALS if exact else Op.UNDER, value=queue)


def _state(_context: Context, name: str, value: str, column: int) -> Tree:
    """Read a state's name, or a type of states."""
    word = value.lower()
    if word in STATES:
        return Test(field=name, op=Op.EQUALS, value=word)
    if word in _GROUPS:
        return _types(_GROUPS[word])
    if word in set(StateType):
        return _types((StateType(word),))
    hint = did_you_mean(word, [*STATES, *_GROUPS]) or f"states: {', '.join(STATES)}"
    raise QueryError(f"there is no state '{value}'", column, hint)


def _is(_context: Context, _name: str, value: str, column: int) -> Tree:
    """Read a group of states."""
    kinds = _GROUPS.get(value.lower())
    if kinds is None:
        hint = did_you_mean(value, _GROUPS) or f"one of {', '.join(_GROUPS)}"
        raise QueryError(f"'is:' knows no '{value}'", column, hint)
    return _types(kinds)


def _priority(_context: Context, name: str, value: str, column: int) -> Tree:
    """Read a priority's number or name, perhaps compared."""
    numbers: dict[str, int] = {word: number for number, word in PRIORITIES.items()}
    numbers |= {str(number): number for number in PRIORITIES}

    def number(word: str, at: int) -> Value:
        if word.lower() not in numbers:
            hint = did_you_mean(word, numbers) or "1 to 5, or very low … very high"
            raise QueryError(f"there is no priority '{word}'", at, hint)
        return numbers[word.lower()]

    return _ordered(name, value, column, number) or Test(
        field=name, op=Op.EQUALS, value=number(value, column)
    )


def _age(_context: Context, name: str, value: str, column: int) -> Tree:
    """Read a duration that is compared."""

    def length(word: str, at: int) -> Value:
        try:
            read = duration(word)
        except ValueError as error:
            raise QueryError(f"'{name}' {error}, not '{word}'", at) from None
        if not isinstance(read, timedelta):
            raise TypeError(word)
        return read

    tree = _ordered(name, value, column, length)
    if tree is None:
        length(value, column)
        raise QueryError(
            f"'{name}' is older or younger than something",
            column,
            f"did you mean '{name}:>{value}'?",
        )
    return tree


def _ordered(
    name: str, value: str, column: int, read: Callable[[str, int], Value]
) -> Tree | None:
    """Read ``>x``, ``a..b``, ``a..`` or ``..b``; ``None`` for a plain value."""
    if ".." in value:
        low, _, high = value.partition("..")
        parts = []
        if low:
            parts.append(Test(field=name, op=Op.AT_LEAST, value=read(low, column)))
        if high:
            at = column + len(low) + 2
            parts.append(Test(field=name, op=Op.AT_MOST, value=read(high, at)))
        if not parts:
            raise QueryError("a range without ends", column, "write a..b, a.. or ..b")
        return And(parts=tuple(parts)) if len(parts) > 1 else parts[0]
    found = _COMPARED.fullmatch(value)
    if found is None or not found[1]:
        return None
    at = column + len(found[1])
    return Test(field=name, op=_OPS[found[1]], value=read(found[2], at))


def _time(context: Context, name: str, value: str, column: int) -> Tree:
    """Read a day, month, year or moment; each is a span with a start and an end."""
    if ".." in value:
        low, _, high = value.partition("..")
        parts = []
        if low:
            start, _ = _span(context, low, column)
            parts.append(Test(field=name, op=Op.AT_LEAST, value=start))
        if high:
            _, end = _span(context, high, column + len(low) + 2)
            parts.append(Test(field=name, op=Op.LESS, value=end))
        if not parts:
            raise QueryError("a range without ends", column, "write a..b, a.. or ..b")
        return And(parts=tuple(parts)) if len(parts) > 1 else parts[0]
    found = _COMPARED.fullmatch(value)
    operator, text = (found[1] or "", found[2]) if found else ("", value)
    start, end = _span(context, text, column + len(operator))
    if not operator and start == end:
        hint = f"did you mean '{name}:>{text}'?"
        raise QueryError(f"'{text}' is a moment, not a day", column, hint)
    bounds: Mapping[str, tuple[tuple[Op, datetime], ...]] = {
        "": ((Op.AT_LEAST, start), (Op.LESS, end)),
        ">": ((Op.AT_LEAST, end),),
        ">=": ((Op.AT_LEAST, start),),
        "<": ((Op.LESS, start),),
        "<=": ((Op.LESS, end),),
    }
    tests = [Test(field=name, op=op, value=at) for op, at in bounds[operator]]
    return And(parts=tuple(tests)) if len(tests) > 1 else tests[0]


def _span(context: Context, text: str, column: int) -> tuple[datetime, datetime]:
    """Return the first moment of what ``text`` names, and the first after it."""
    days = {"today": 0, "yesterday": 1}
    if text in days or text.startswith("-"):
        if context.now is None:
            raise QueryError(f"'{text}' needs to know the time", column, "write a date")
        if text.startswith("-"):
            moment = context.now - _back(text, column)
            return moment, moment
        day = context.now.astimezone(context.timezone) - timedelta(days=days[text])
        return _days(context, datetime(day.year, day.month, day.day), 1)  # noqa: DTZ001 - _days adds the zone
    try:
        start, end = _calendar(text)
    except (ValueError, OverflowError):
        raise QueryError(
            f"'{text}' is no date", column, "write 2026-11-23, 2026-11, today or -2w"
        ) from None
    return _days(context, start, (end - start).days)


def _calendar(text: str) -> tuple[datetime, datetime]:
    """Return the span of a day, month or year, by the calendar alone."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    start = datetime(year, month, day)  # noqa: DTZ001 - _days adds the zone
    if found[3]:
        return start, start + timedelta(days=1)
    later = (year + month // 12, month % 12 + 1) if found[2] else (year + 1, 1)
    return start, datetime(later[0], later[1], 1)  # noqa: DTZ001 - as above


def _back(text: str, column: int) -> timedelta:
    try:
        read = duration(text[1:])
    except ValueError as error:
        raise QueryError(f"'{text}' {error}", column) from None
    if not isinstance(read, timedelta):
        raise TypeError(text)
    return read


def _days(context: Context, start: datetime, days: int) -> tuple[datetime, datetime]:
    """Return the span as UTC; a day is as long as the zone's clocks make it."""
    end = start + timedelta(days=days)
    return (
        start.replace(tzinfo=context.timezone).astimezone(UTC),
        end.replace(tzinfo=context.timezone).astimezone(UTC),
    )


#: Every field of a search.
FIELDS: Mapping[str, Reader] = {
    "queue": _queue,
    "state": _state,
    "is": _is,
    "priority": _priority,
    "owner": _owner,
    "tag": _text,
    "number": _text,
    "from": _address,
    "to": _address,
    "customer": _address,
    "subject": _words,
    "body": _words,
    "attachment": _words,
    "created": _time,
    "updated": _time,
    "age": _age,
}
