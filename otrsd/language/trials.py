"""The tests beside a rule: ``tests:`` in YAML, read with it.

Each gives a mail (``mail:`` a map of its fields, ``raw:`` its octets as text, or
``file:``) and what is expected of it. Expected is what all rules together make of the
mail, as that is what will happen to it; ``matched`` alone speaks of the rule it stands
beside, and is ``true`` where nothing is said. :mod:`otrsd.language.trying` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node
from otrsd.language.actions import priority_of, state_of
from otrsd.language.specimen import read_specimen
from otrsd.model.ticket import STATES, StateType

#: What rules can set once, in the order in which it is told.
SINGLE = (
    *("discard", "hold", "no_auto_reply"),
    *("queue", "priority", "state", "title"),
)
#: Those of them of which it only counts whether they are set.
SWITCHES = frozenset({"discard", "hold", "no_auto_reply"})
_GIVEN = ("mail", "raw", "file")
_EXPECTED = ("matched", *SINGLE, "tags", "fields")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a trial asks for; what it does not name may be anything."""

    matched: bool = True
    #: Fields of :data:`SINGLE` → value; :data:`SWITCHES` are true or false.
    values: Mapping[str, str | int | bool] = field(default_factory=dict)
    #: All of these must be there.
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One test beside a rule."""

    rule: str
    #: Where it stands.
    node: Node
    #: ``raw`` or ``mail`` as octets; empty where it is a file.
    content: bytes
    file: str
    expected: Expected


def read_trials(
    rule: str, node: Node, states: Mapping[str, StateType] = STATES
) -> tuple[tuple[Trial, ...], list[Problem]]:
    """Return the trials of a ``tests:`` list, and what is wrong with it."""
    if not node.list:
        hint = "write a list of {mail: …, expect: …}"
        return (), [node.problem(f"'tests' of rule '{rule}' wants a list", hint)]
    reader = _Reader(rule=rule, states=states)
    trials = [reader.trial(item) for item in node.list]
    return tuple(t for t in trials if t is not None), reader.problems


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Reads the trials of one rule; what is wrong gathers in ``problems``."""

    rule: str
    states: Mapping[str, StateType]
    problems: list[Problem] = field(default_factory=list)

    def trial(self, node: Node) -> Trial | None:
        """Return one trial; ``None`` where it has no mail."""
        members = node.map or {}
        for name in members:
            if name not in (*_GIVEN, "expect"):
                hint = did_you_mean(name, (*_GIVEN, "expect"))
                self._wrong(node.keys[name], f"a test has no '{name}'", hint)
        given = [name for name in _GIVEN if name in members]
        if len(given) != 1:
            self._wrong(node, "a test wants one of mail, raw and file")
            return None
        (name,) = given
        content, problems = read_specimen(name, members[name])
        self.problems.extend(problems)
        return Trial(
            rule=self.rule,
            node=node,
            content=content,
            file=members[name].text if name == "file" else "",
            expected=self._expected(members.get("expect")),
        )

    def _expected(self, node: Node | None) -> Expected:
        if node is None:
            return Expected()
        if not node.map:
            self._wrong(node, "'expect' wants a map", "write {queue: NAME}")
            return Expected()
        values: dict[str, str | int | bool] = {}
        for name, value in node.map.items():
            if name not in _EXPECTED:
                known = f"one of {', '.join(_EXPECTED)}"
                hint = did_you_mean(name, _EXPECTED) or known
                self._wrong(node.keys[name], f"nothing to expect of '{name}'", hint)
            elif name not in {"tags", "fields"}:
                values[name] = self._value(name, value)
        matched = values.pop("matched", True)
        return Expected(
            matched=matched is not False,
            values=values,
            tags=self._tags(node.map.get("tags")),
            fields=self._fields(node.map.get("fields")),
        )

    def _value(self, name: str, node: Node) -> str | int | bool:
        if name == "matched" or name in SWITCHES:
            if not isinstance(node.value, bool):
                self._wrong(node, f"'{name}' wants true or false here")
            return node.value is True
        if not node.is_scalar or not node.text:
            self._wrong(node, f"'{name}' wants a value")
            return ""
        read: str | int | None = node.text
        if name == "priority":
            read = priority_of(node.text)
        elif name == "state":
            read = state_of(node.text, self.states)
        if not read:
            self._wrong(node, f"there is no {name} '{node.text}'")
        return read or ""

    def _tags(self, node: Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        items = node.list if node.list is not None else (node,)
        return tuple(item.text for item in items)

    def _fields(self, node: Node | None) -> Mapping[str, str]:
        if node is None:
            return {}
        if node.map is None:
            self._wrong(node, "'fields' wants a map (name: value)")
        return {name: value.text for name, value in (node.map or {}).items()}

    def _wrong(self, node: Node, text: str, suggestion: str = "") -> None:
        self.problems.append(node.problem(text, suggestion))
