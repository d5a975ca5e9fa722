"""``when:`` as it stands in YAML → a condition tree, or problems with their place.

ux.md §2.2 is the table of forms. Sibling keys are And, a list of values is Or.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node
from otrsd.language.regex import PatternError, prepare
from otrsd.language.short import address_test, glob_test
from otrsd.language.tree import ALWAYS, Not, Op, Test, Tree, both, either
from otrsd.mime.automatic import Kind
from otrsd.model.auth import METHODS, Said

#: Fields whose values are addresses.
ADDRESSES = ("from", "to", "cc", "envelope.from", "envelope.to")
#: Fields whose values are text.
TEXTS = ("subject", "body", "new_text")
#: Fields whose value is one of a few words.
WORDS: Mapping[str, tuple[str, ...]] = {
    "kind": tuple(Kind),
    **{f"auth.{method}": tuple(Said) for method in METHODS},
}
#: What ``has:`` can ask for.
HAS = ("attachment", "encryption", "signature")
_HEADER = "header."
_HEADER_NAME = re.compile(r"[!-9;-~]+")
_JOINS = ("all", "any", "not")
#: Named operators that take one text or a list of texts.
_OPERATORS: Mapping[str, Op] = {
    "is": Op.EQUALS,
    "contains": Op.CONTAINS,
    "starts": Op.STARTS,
    "ends": Op.ENDS,
    "glob": Op.GLOB,
    "regex": Op.REGEX,
}


@dataclass(slots=True, kw_only=True)
class Conditions:
    """Reads conditions; what is wrong gathers in ``problems``."""

    #: Names of fields that plugins add.
    match_fields: Iterable[str] = ()
    problems: list[Problem] = field(default_factory=list)

    def read(self, node: Node) -> Tree:
        """Return the tree of a ``when:`` map."""
        if node.map is None:
            self._wrong(
                node, "'when' wants a map of conditions", "write {subject: invoice}"
            )
            return ALWAYS
        if not node.map:
            self._wrong(
                node, "this condition is empty", "leave 'when' out to match every mail"
            )
        return both(
            [self._entry(node.keys[name], value) for name, value in node.map.items()]
        )

    def _entry(self, key: Node, value: Node) -> Tree:
        name = key.text.lower()
        if name in {"all", "any"}:
            return self._join(key, value)
        if name == "not":
            return Not(part=self.read(value))
        if name == "has":
            return self._has(value)
        if not self._is_field(key, name):
            return ALWAYS
        return self._value(name, value)

    def _is_field(self, key: Node, name: str) -> bool:
        if name.startswith(_HEADER):
            if _HEADER_NAME.fullmatch(name.removeprefix(_HEADER)):
                return True
            self._wrong(key, f"'{key.text}' names no header field")
            return False
        known = [*ADDRESSES, *TEXTS, *WORDS, *self.match_fields]
        if name in known:
            return True
        near = did_you_mean(name, [*known, *_JOINS, "has"])
        hint = near or "fields: from, to, cc, subject, body, new_text, header.NAME …"
        self._wrong(key, f"unknown field '{key.text}'", hint)
        return False

    def _join(self, key: Node, value: Node) -> Tree:
        parts: list[Tree] = []
        if value.list is not None:
            parts = [self.read(item) for item in value.list]
        elif value.map is not None:
            # any: {subject: x, from: y} reads as a list of its members.
            parts = [self._entry(value.keys[n], v) for n, v in value.map.items()]
        if not parts:
            self._wrong(value, f"'{key.text}' wants a list of conditions")
            return ALWAYS
        return both(parts) if key.text.lower() == "all" else either(parts)

    def _has(self, value: Node) -> Tree:
        items = value.list if value.list is not None else (value,)
        for item in items:
            if item.text not in HAS:
                self._wrong(
                    item, f"'has' knows no '{item.text}'", did_you_mean(item.text, HAS)
                )
        return both([Test(field="has", op=Op.EQUALS, value=i.text) for i in items])

    def _value(self, name: str, value: Node) -> Tree:
        """Read what stands behind a field: text, list or named operators."""
        if value.list is not None:
            if not value.list:
                self._wrong(value, f"'{name}' has an empty list")
            return either([self._value(name, item) for item in value.list])
        if value.map is not None:
            return self._operators(name, value)
        if value.value is None or value.text == "":
            self._wrong(
                value,
                f"'{name}' has no value",
                'write "*" for "is there", or "=" for "is empty"',
            )
            return ALWAYS
        if value.text.startswith("/"):
            return self._pattern(name, value)
        if name in WORDS:
            return self._word(name, value)
        short = address_test if name in ADDRESSES else _text_test
        return short(name, value.text)

    def _word(self, name: str, value: Node) -> Tree:
        """Read one of a few words."""
        if value.text not in WORDS[name]:
            hint = did_you_mean(value.text, WORDS[name]) or ", ".join(WORDS[name])
            self._wrong(value, f"'{name}' is never '{value.text}'", hint)
        return Test(field=name, op=Op.EQUALS, value=value.text)

    def _operators(self, name: str, value: Node) -> Tree:
        parts: list[Tree] = []
        for word, inner in (value.map or {}).items():
            if word == "not":
                parts.append(Not(part=self._value(name, inner)))
            elif word in _OPERATORS:
                parts.append(self._operator(name, _OPERATORS[word], inner))
            else:
                self._wrong(
                    value.keys[word],
                    f"unknown operator '{word}' for '{name}'",
                    did_you_mean(word, [*_OPERATORS, "not"])
                    or f"operators: not, {', '.join(_OPERATORS)}",
                )
        if not value.map:
            self._wrong(value, f"'{name}' has an empty map")
        return both(parts)

    def _operator(self, name: str, op: Op, value: Node) -> Tree:
        if value.list is not None:
            return either([self._operator(name, op, item) for item in value.list])
        if value.map is not None or value.value is None:
            self._wrong(value, f"'{op}' wants text or a list of texts")
            return ALWAYS
        if op is Op.REGEX:
            return self._regex(name, value)
        return Test(field=name, op=op, value=value.text)

    def _pattern(self, name: str, value: Node) -> Tree:
        """Read ``/pattern/flags``; a lone slash is text or a slip, so ask which."""
        if value.text.rfind("/") > 0:
            return self._regex(name, value)
        self._wrong(
            value,
            f"'{value.text}' starts a pattern that does not end",
            f"write {value.text}/, or {{contains: {value.text}}} for the text itself",
        )
        return ALWAYS

    def _regex(self, name: str, node: Node) -> Tree:
        try:
            return Test(field=name, op=Op.REGEX, value=prepare(node.text))
        except PatternError as error:
            self.problems.append(
                node.problem(f"in regex: {error}", offset=error.offset)
            )
            return ALWAYS

    def _wrong(self, node: Node, text: str, suggestion: str = "") -> None:
        self.problems.append(node.problem(text, suggestion))


def _text_test(field: str, text: str) -> Test:
    """Return what the short form ``text`` asks of a text field.

    A question mark is an ordinary character here: ``subject: any news?``.
    """
    if text.startswith("="):
        return Test(field=field, op=Op.EQUALS, value=text[1:])
    if "*" in text:
        return glob_test(field, text)
    return Test(field=field, op=Op.CONTAINS, value=text)
