"""The search language: text → the same tree that conditions have.

First form (ux.md §3): words, ``"phrases"``, ``pre*``, ``AND``, ``OR``, ``NOT``, ``-x``,
parentheses, ``field:value`` with comma lists and quotes, comparisons and ranges.
Errors, never guesses: what has no meaning raises :class:`QueryError` with the column
and, where there is one, a suggestion.

What the tests of a query ask (``tree.Test``):

===============================  ====================================================
``ANYWHERE`` subject body        WORD, PREFIX, PHRASE: the word index
queue                            UNDER (with sub-queues), EQUALS, GLOB
state · state_type               EQUALS: a name of STATES · a value of StateType
priority                         EQUALS and the ordered ones: 1 … 5
owner tag number                 EQUALS (owner: "" is nobody), GLOB, PRESENT
from to customer                 ADDRESS, DOMAIN, DOMAIN_TREE, GLOB, EQUALS,
                                 CONTAINS, PRESENT
created updated                  AT_LEAST, LESS: an aware datetime
age                              ordered ones: a timedelta since ``created``
===============================  ====================================================
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from otrsd.config.problem import did_you_mean
from otrsd.language.fields import FIELDS, Context, QueryError
from otrsd.language.tree import ANYWHERE, Not, Op, Test, Tree, both, either

if TYPE_CHECKING:
    from lark import Lark, Token, Tree as Parsed
    from lark.exceptions import UnexpectedInput

__all__ = ["FIELDS", "Query", "QueryError", "parse_query"]

_MAX_LENGTH = 4000
_MAX_NESTING = 50

_GRAMMAR = r"""
    start: _any?
    _any: either | _all
    either: all (_OR all)+
    all: _one (_AND? _one)*
    _all: _one (_AND? _one)*
    _one: negated | _atom
    negated: (_NOT | _MINUS) _atom
    _atom: group | TERM | PHRASE | WORD
    group: "(" _any ")"

    TERM.3: /[A-Za-z_][\w.-]*:(?:(?:"[^"]*"|[^\s",()]+|,)+)?/
    _AND.2: /AND(?=[\s()]|$)/
    _OR.2: /OR(?=[\s()]|$)/
    _NOT.2: /NOT(?=[\s()]|$)/
    _MINUS.2: /-(?=[^\s\-])/
    PHRASE: /"[^"]*"/
    WORD: /[^\s()"\-][^\s()"]*/
    %ignore /\s+/
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search, understood."""

    #: As it was written.
    text: str
    tree: Tree


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Turns the parsed text into the tree."""

    context: Context
    fields: frozenset[str] = field(default_factory=frozenset)

    def read(self, node: Parsed[Token] | Token) -> Tree:
        """Return the condition that ``node`` stands for."""
        from lark import Token as LarkToken  # noqa: PLC0415

        if isinstance(node, LarkToken):
            return self._leaf(node)
        parts = [self.read(child) for child in node.children]
        if node.data == "negated":
            return Not(part=parts[0])
        return either(parts) if node.data == "either" else both(parts)

    def _leaf(self, token: Token) -> Tree:
        column = token.column or 1
        if token.type == "TERM":
            return self._term(str(token), column)
        if token.type == "PHRASE":
            phrase = str(token)[1:-1].strip()
            if not phrase:
                raise QueryError("nothing between the quotes", column)
            return Test(field=ANYWHERE, op=Op.PHRASE, value=phrase)
        return FIELDS["body"](self.context, ANYWHERE, str(token), column)

    def _term(self, text: str, column: int) -> Tree:
        name, _, rest = text.partition(":")
        if name.lower() not in self.fields:
            near = did_you_mean(name, self.fields)
            if name.lower().startswith("auth."):
                near = "only rules ask it, of a mail; let one tag the ticket: tag:NAME"
            raise QueryError(
                f"unknown field '{name}'",
                column,
                near or f'quote it to search for the word: "{text}"',
            )
        after = column + len(name) + 1
        parts: list[Tree] = []
        for value, offset, quoted in _values(rest):
            if not value:
                raise self._empty(name, after + offset)
            context = self.context.quoting(quoted=quoted)
            parts.append(
                FIELDS[name.lower()](context, name.lower(), value, after + offset)
            )
        return either(parts)

    def _empty(self, name: str, column: int) -> QueryError:
        following = self.context.text[column - 1 : column]
        if following.isspace() and self.context.text[column - 1 :].strip():
            return QueryError(f"'{name}:' has no value", column, "remove the space")
        return QueryError(f"'{name}:' has no value", column, f"write {name}:VALUE")


def parse_query(
    text: str,
    *,
    fields: Iterable[str] = FIELDS,
    queues: Iterable[str] | None = None,
    now: datetime | None = None,
    timezone: tzinfo = UTC,
    me: str = "",
) -> Query:
    """Return the meaning of ``text``; raise QueryError.

    ``queues``: known names, to refuse others. ``now`` and ``timezone``: what
    ``today`` and ``-2w`` count from. ``me``: the login that ``@me`` stands for.
    """
    if len(text) > _MAX_LENGTH:
        raise QueryError(f"longer than {_MAX_LENGTH:,} characters", _MAX_LENGTH)
    _check_nesting(text)
    context = Context(
        text=text,
        queues=None if queues is None else tuple(queues),
        now=now,
        timezone=timezone,
        me=me,
    )
    reader = _Reader(context=context, fields=frozenset(fields))
    return Query(text=text, tree=reader.read(_parsed(text)))


def _values(text: str) -> Iterable[tuple[str, int, bool]]:
    """Split a comma list; give each value, its offset, and whether it was quoted."""
    start = 0
    inside = False
    for position, character in enumerate(text + ","):
        if character == '"':
            inside = not inside
        elif character == "," and not inside:
            piece = text[start:position]
            bare = piece.strip('"')
            yield bare, start, piece.endswith('"')
            start = position + 1


def _check_nesting(text: str) -> None:
    depth = 0
    for column, character in enumerate(text, start=1):
        depth += (character == "(") - (character == ")")
        if depth > _MAX_NESTING:
            raise QueryError(f"more than {_MAX_NESTING} open parentheses", column)


def _parsed(text: str) -> Parsed[Token]:
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415

    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        raise _explained(text, error) from None


def _explained(text: str, error: UnexpectedInput) -> QueryError:
    token = getattr(error, "token", None)
    ended = token is not None and token.type == "$END"
    last = text.rstrip().rpartition(" ")[2]
    column = len(text) + 1 if ended else max(1, error.column)
    found = text[column - 1 : column]
    if found == '"':
        return QueryError("the quote that starts here is not closed", column)
    if ended and text.count("(") > text.count(")"):
        return QueryError("a '(' is not closed", text.rfind("(") + 1)
    if found == ")":
        return QueryError("nothing to close, or nothing between '(' and ')'", column)
    word = last if ended else str(token or found)
    if word in {"AND", "OR", "NOT", "-"}:
        hint = f'quote it to search for the word: "{word}"'
        at = len(text.rstrip()) - len(word) + 1 if ended else column
        return QueryError(f"'{word}' misses a condition beside it", at, hint)
    return QueryError("something is missing here", column)


@functools.cache
def _parser() -> Lark:
    """Compile the grammar; only a search pays for it, once."""
    from lark import Lark as LarkParser  # noqa: PLC0415

    return LarkParser(_GRAMMAR, parser="lalr", lexer="basic")
