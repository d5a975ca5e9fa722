"""YAML text → a tree in which every key and value knows its line and column.

In: the text of one file. Out: a :class:`Node` and the problems found on the way.
YAML 1.2 core schema only (https://yaml.org/spec/1.2.2/#103-core-schema): ``no``,
``on`` and ``9:00`` are text. Refused with their place: tags, duplicate keys, more
than one document, merge keys, keys that are not plain text, more than 100
aliases, deep nesting, and everything libyaml can't read. Nothing is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import yaml

from otrsd.config.problem import LocatedError, Problem, Source, problem_at
from otrsd.config.syntax import syntax_problem

#: A larger file is a mistake; maps and lists have files of their own.
MAX_CHARACTERS = 1024 * 1024
MAX_ALIASES = 100
MAX_DEPTH = 50
#: Nodes of one file after aliases are followed.
MAX_NODES = 100_000

Scalar = None | bool | int | float | str

_MAX_DIGITS = 40
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One value with its place; a map's keys have places of their own."""

    #: A scalar, a tuple of nodes, or a map of nodes.
    value: Scalar | tuple[Node, ...] | Mapping[str, Node] = field(repr=False)
    source: Source = field(repr=False)
    #: Both counted from 1.
    line: int
    column: int
    #: Characters to underline in a message.
    width: int = 1
    #: A scalar as text, whatever its type: ``subject: 404`` is about "404".
    text: str = field(default="", repr=False)
    #: How a scalar was written: ``'`` ``"`` ``|`` ``>``, or empty for plain.
    style: str = ""
    #: The keys of a map as nodes, by name.
    keys: Mapping[str, Node] = field(default_factory=dict, repr=False)

    @property
    def origin(self) -> str:
        """Return ``file:line``, the name of this place in traces."""
        return f"{self.source.name}:{self.line}"

    @property
    def map(self) -> Mapping[str, Node] | None:
        """Return the value if it is a map."""
        return self.value if isinstance(self.value, Mapping) else None

    @property
    def list(self) -> tuple[Node, ...] | None:
        """Return the value if it is a list."""
        return self.value if isinstance(self.value, tuple) else None

    @property
    def is_scalar(self) -> bool:
        """Tell whether it is neither a map nor a list."""
        return not isinstance(self.value, (tuple, Mapping))

    def named_by(self, key: Node) -> Node:
        """Return the same value, standing where its name stands."""
        return replace(self, line=key.line, column=key.column, width=key.width)

    def plain(self) -> object:
        """Return the value without places: dict, list or scalar."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, Mapping):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value

    def problem(
        self, text: str, suggestion: str = "", offset: int | None = None
    ) -> Problem:
        """Make a problem about this value, or about the place ``offset`` in it."""
        column = self.column + (0 if offset is None else self._shift(offset))
        width = self.width if offset is None else 1
        return problem_at(
            self.source, self.line, column, text, suggestion=suggestion, width=width
        )

    def _shift(self, offset: int) -> int:
        """Return how far right of the first column character ``offset`` stands."""
        if self.style in {"|", ">"} or len(self.text) > self.width:
            return 0
        before = self.text[:offset]
        if self.style == "'":
            return 1 + offset + before.count("'")
        if self.style == '"':
            return 1 + offset + before.count("\\") + before.count('"')
        return offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file as a tree; an empty file is an empty map."""

    root: Node
    problems: tuple[Problem, ...] = ()


def read(source: Source) -> Document:
    """Read one document; what can't be read at all is a problem of its own."""
    empty = Node(value={}, source=source, line=1, column=1)
    if len(source.text) > MAX_CHARACTERS:
        text = f"the file has {len(source.text):,} characters, at most 1 MiB is read"
        return Document(root=empty, problems=(Problem(file=source.name, text=text),))
    composer = _Composer(source)
    try:
        root = composer.document()
    except yaml.YAMLError as error:
        return Document(root=empty, problems=(syntax_problem(source, error),))
    except LocatedError as error:
        return Document(root=empty, problems=error.problems)
    if root is None or (root.is_scalar and root.value is None):
        root = empty
    return Document(root=root, problems=tuple(composer.problems))


class _Composer:
    """Builds the tree from libyaml's events."""

    def __init__(self, source: Source) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._events: Iterator[yaml.Event] = yaml.parse(
            source.text, Loader=yaml.CSafeLoader
        )
        self._anchors: dict[str, Node | None] = {}
        self._sizes: dict[int, int] = {}
        self._aliases = 0

    def document(self) -> Node | None:
        """Return the one document, ``None`` for an empty file."""
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._stop(event, "a second document ('---') in one file")
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if not isinstance(event, yaml.NodeEvent):
            raise self._stop(event, "this can't be read as YAML")
        if depth > MAX_DEPTH:
            raise self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        self._refuse_tag(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node, size = self._content(event, depth)
        if size > MAX_NODES:
            raise self._stop(event, "aliases make this value too large")
        self._sizes[id(node)] = size
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _content(self, event: yaml.NodeEvent, depth: int) -> tuple[Node, int]:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event), 1
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        return self._mapping(event, depth)

    def _refuse_tag(self, event: yaml.NodeEvent) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            text = f"tag '{shown}' is not allowed"
            self.problems.append(self._at(event, text, "write the plain value"))

    def _alias(self, event: yaml.AliasEvent) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._stop(event, f"more than {MAX_ALIASES} aliases in one file")
        if event.anchor not in self._anchors:
            raise self._stop(
                event,
                f"alias '*{event.anchor}' names no anchor",
                f'quote it if it is text: "*{event.anchor}"',
            )
        node = self._anchors[event.anchor]
        if node is None:
            raise self._stop(event, f"alias '*{event.anchor}' contains itself")
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        style = event.style or ""
        value = event.value if style else core_scalar(event.value)
        return replace(self._place(event, value), text=event.value, style=style)

    def _sequence(self, start: yaml.Event, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        size = 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
            size += self._sizes[id(items[-1])]
        return self._place(start, tuple(items)), size

    def _mapping(self, start: yaml.Event, depth: int) -> tuple[Node, int]:
        values: dict[str, Node] = {}
        keys: dict[str, Node] = {}
        size = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, depth)
            value = self._node(next(self._events), depth + 1)
            size += self._sizes[id(value)] + 1
            if key.text in keys:
                first = keys[key.text]
                self.problems.append(
                    key.problem(
                        f"key '{key.text}' stands twice (first in line {first.line})"
                    )
                )
                continue
            keys[key.text], values[key.text] = key, value
        return replace(self._place(start, values), keys=keys), size

    def _key(self, event: yaml.Event, depth: int) -> Node:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._stop(
                event, "a key must be plain text", "put '{{ … }}' in quotes"
            )
        if event.value == "<<" and not event.style:
            raise self._stop(event, "merge keys ('<<') are not part of YAML 1.2")
        return self._node(event, depth)

    def _place(
        self, event: yaml.Event, value: Scalar | tuple[Node, ...] | dict[str, Node]
    ) -> Node:
        start, end = event.start_mark, event.end_mark
        if start is None or end is None:
            raise LocatedError([Problem(file=self._source.name, text="no marks")])
        one_line = start.line == end.line
        return Node(
            value=value,
            source=self._source,
            line=start.line + 1,
            column=start.column + 1,
            width=max(1, end.column - start.column) if one_line else 1,
        )

    def _at(self, event: yaml.Event, text: str, suggestion: str = "") -> Problem:
        return self._place(event, None).problem(text, suggestion)

    def _stop(self, event: yaml.Event, text: str, suggestion: str = "") -> LocatedError:
        return LocatedError([*self.problems, self._at(event, text, suggestion)])


def core_scalar(text: str) -> Scalar:
    """Return what a plain scalar means in YAML 1.2's core schema."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        # Longer digits are text to everybody, and int() refuses them at 4,300.
        return int(text) if len(text) <= _MAX_DIGITS else text
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        # Python reads "inf" and "nan" without the dot.
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
