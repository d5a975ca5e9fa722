"""The one tree of conditions, made from YAML and from search text.

Three shapes join (:class:`And`, :class:`Or`, :class:`Not`), one asks
(:class:`Test`). ``And(())`` holds always, ``Or(())`` never. What a test means is
said here and done by :mod:`otrsd.language.evaluate`; SQL and the index must agree
with that. A field that is absent has no values: every test on it fails, so ``Not``
of it holds. Of a field with several values one is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: :attr:`Test.field` of a search word that may stand anywhere.
ANYWHERE = ""

Value = str | int | datetime | timedelta


class Op(StrEnum):
    """What a test asks. *Folded* means: NFKC, then casefold, on both sides."""

    #: The folded value stands somewhere in the folded text.
    CONTAINS = "contains"
    #: The folded text is the folded value; numbers and times: equal.
    EQUALS = "equals"
    STARTS = "starts"
    ENDS = "ends"
    #: ``*`` any characters, ``?`` one; the folded text as a whole.
    GLOB = "glob"
    #: RE2, anywhere, on the text as it is; ``/pattern/flags``.
    REGEX = "regex"
    #: The address is exactly this one (folded).
    ADDRESS = "address"
    #: The address ends with ``@value``.
    DOMAIN = "domain"
    #: The same, or with ``.value``.
    DOMAIN_TREE = "domain_tree"
    #: There is a value at all.
    PRESENT = "present"
    #: The queue is this one or one of its sub-queues (``Parent::Child``).
    UNDER = "under"
    #: Search: a word, by its stem and with umlauts folded.
    WORD = "word"
    #: Search: a word that starts so.
    PREFIX = "prefix"
    #: Search: these words side by side.
    PHRASE = "phrase"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


#: Ops that only a word index can answer.
WORDS = frozenset({Op.WORD, Op.PREFIX, Op.PHRASE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One question about one field."""

    # pytest would otherwise collect the class by its name.
    __test__ = False

    #: ``subject``, ``header.list-id``, ``queue``, ``created`` …; lower case.
    field: str
    op: Op
    #: REGEX: the pattern with its flags as ``(?i)…``; ``age``: a timedelta.
    value: Value = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """All parts hold."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """At least one part holds."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The part does not hold."""

    part: Tree


Tree = And | Or | Not | Test

#: Holds for everything.
ALWAYS = And(parts=())


def each_test(tree: Tree) -> Iterator[Test]:
    """Yield every test in ``tree``, left to right."""
    if isinstance(tree, Test):
        yield tree
    elif isinstance(tree, Not):
        yield from each_test(tree.part)
    else:
        for part in tree.parts:
            yield from each_test(part)


def both(parts: list[Tree]) -> Tree:
    """Join with And, without a needless layer."""
    return parts[0] if len(parts) == 1 else And(parts=tuple(parts))


def either(parts: list[Tree]) -> Tree:
    """Join with Or, without a needless layer."""
    return parts[0] if len(parts) == 1 else Or(parts=tuple(parts))
