"""What a hook may return: each function here passes a result on or says why not.

In: whatever a plugin returned. Out: the same in one shape (an iterable of changes
becomes a tuple), ``None`` for no opinion. Fails with :class:`TypeError` or
:class:`ValueError` whose text names the hook's contract; the caller blames the
plugin. An iterable is read here, so that a generator's exception is caught as its
plugin's too, and never beyond ``MOST`` items.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import islice
from typing import Any

from otrsd.model.changes import Changes, PluginState
from otrsd.model.ticket import PRIORITIES, STATES
from otrsd.model.verdict import Disposition, Verdict

#: More changes, keys or memory rows from one call are a mistake.
MOST = 1000
#: Longest key that a ticket or a row of a plugin's memory can have.
LONGEST_KEY = 255


def verdict(value: object) -> Verdict | None:
    """Pass a verdict."""
    if value is None:
        return None
    if not isinstance(value, Verdict):
        raise TypeError(f"returned {_kind(value)}, not a Verdict or None")
    for name, wanted, is_right in _VERDICT_FIELDS:
        if not is_right(getattr(value, name)):
            raise TypeError(f"returned a Verdict whose {name} is not {wanted}")
    return value


def keys(value: object) -> tuple[str, ...] | None:
    """Pass the keys as a tuple."""
    if value is None:
        return None
    found = _all_of(value, "keys")
    wrong = next((key for key in found if not _is_key(key)), None)
    if wrong is not None:
        raise TypeError(f"returned the key {wrong!r:.80}, not text of 1 to 255")
    return found or None


def ticket_id(value: object) -> int | None:
    """Pass a ticket's id."""
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise TypeError(f"returned {_kind(value)}, not the id of a ticket or None")
    return value


def one_of(queues: Sequence[str]) -> Callable[[object], str | None]:
    """Make the check that a result is one of ``queues``."""

    def queue(value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise TypeError(f"returned {_kind(value)}, not the name of a queue or None")
        if value not in queues:
            raise ValueError(f"returned {value!r:.80}, which is no queue of this site")
        return value

    return queue


def changes(value: object) -> tuple[Changes, ...] | None:
    """Pass one change or several as a tuple."""
    if value is None:
        return None
    found = (value,) if isinstance(value, Changes) else _all_of(value, "Changes")
    for item in found:
        if not isinstance(item, Changes):
            raise TypeError(f"returned {_kind(item)} where Changes belong")
        _check_changes(item)
    return found or None


def nothing(value: object) -> None:
    """Let any result pass: nobody reads what an observer returns."""
    del value


def match_fields(value: object) -> Mapping[str, Callable[..., object]] | None:
    """Pass a mapping of names to functions."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"returned {_kind(value)}, not a mapping of name to function")
    for name, function in value.items():
        if not isinstance(name, str) or not name or not callable(function):
            raise TypeError(f"the match field {name!r:.80} is no name with a function")
    return dict(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_key(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_KEY


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def _are_fields(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(text, str) for name, text in value.items()
    )


def _are_rows(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        _is_key(key) and (row is None or _is_row(row)) for key, row in value.items()
    )


def _is_row(row: object) -> bool:
    if not isinstance(row, PluginState):
        return False
    # What JSON can't hold would fail later, in the mail's transaction.
    json.dumps(row.value)
    return (
        _is_mapping(row.value)
        and (row.ticket_id is None or type(row.ticket_id) is int)
        and (row.due_at is None or _is_aware(row.due_at))
    )


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_aware(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


_VERDICT_FIELDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("disposition", "a Disposition", lambda v: isinstance(v, Disposition)),
    ("reason", "text", _is_text),
    ("tags", "a tuple of text", _are_texts),
)
#: Field of Changes → what it must be, in words, and the test.
_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "ticket_id": ("the id of a ticket", lambda v: type(v) is int and v > 0),
    "queue": ("the name of a queue", _is_text),
    "title": ("text", _is_text),
    "state": ("one of " + ", ".join(STATES), lambda v: _is_text(v) and v in STATES),
    "priority": ("1 to 5", lambda v: type(v) is int and v in PRIORITIES),
    "owner": ("a login", _is_text),
    "open_key": ("text of 1 to 255", _is_key),
    "tags": ("a tuple of text", _are_texts),
    "untag": ("a tuple of text", _are_texts),
    "no_auto_reply": ("true or false", lambda v: isinstance(v, bool)),
    "fields": ("a mapping of text to text", _are_fields),
    "note": ("text", _is_text),
    "discard": ("a reason", _is_text),
    "hold": ("a reason", _is_text),
    "open_ticket": ("true or false", lambda v: isinstance(v, bool)),
    "plugin_state": ("a mapping of keys to PluginState", _are_rows),
}
_REQUIRED = frozenset(
    {"tags", "untag", "no_auto_reply", "fields", "open_ticket", "plugin_state"}
)
_DEFAULTS = {field.name: field.default for field in fields(Changes)}


def _check_changes(item: Changes) -> None:
    for name, (wanted, is_right) in _FIELDS.items():
        value = getattr(item, name)
        if value is _DEFAULTS[name] or (value is None and name not in _REQUIRED):
            continue
        if not is_right(value):
            raise TypeError(f"returned Changes with {name}={value!r:.80}, not {wanted}")


def _all_of(value: object, wanted: str) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"returned {_kind(value)}, not {wanted} or None")
    found = tuple(islice(value, MOST + 1))
    if len(found) > MOST:
        raise ValueError(f"returned more than {MOST} {wanted}")
    return found


def _kind(value: object) -> str:
    return type(value).__name__
