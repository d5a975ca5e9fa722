"""Tree of the search language → a condition on ``ticket`` in SQL.

SQL answers every structured field, exactly and as of now; the tests on words are
answered by the caller (``words``), as ids. Texts are compared folded, as
:mod:`otrsd.language.evaluate` says; known weakness: outside ASCII, PostgreSQL and
MariaDB fold by their own tables and not by NFKC. In lists of addresses an address is
found by what stands around it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from otrsd.language.evaluate import fold
from otrsd.language.regex import Pattern, glob
from otrsd.language.tree import WORDS, And, Not, Op, Or, Test, Tree
from otrsd.store.tables import article, ticket, ticket_tag

Clause = ColumnElement[bool]
_ESCAPE = "!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a condition may depend on besides the tree."""

    now: datetime
    #: sqlite, postgresql, mysql.
    dialect: str
    #: Every queue that has a ticket.
    queues: Sequence[str]
    #: Test on words → the ids of the tickets that have them.
    words: Callable[[Test], Collection[int]]


def prepare(connection: Connection) -> None:
    """Teach SQLite to fold text beyond ASCII; elsewhere nothing is to be done."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.create_function("otrsd_fold", 1, _fold, deterministic=True)


def queues_in_use(connection: Connection) -> list[str]:
    """Return every queue that has a ticket: one look into the index for each."""
    found: list[str] = []
    last = ""
    while True:
        statement = sa.select(sa.func.min(ticket.c.queue)).where(ticket.c.queue > last)
        name = connection.execute(statement).scalar()
        if name is None:
            return found
        found.append(name)
        last = name


def condition(tree: Tree, asked: Asked) -> Clause:
    """Return ``tree`` as a condition on ``ticket``."""
    match tree:
        case And():
            return sa.and_(sa.true(), *(condition(p, asked) for p in tree.parts))
        case Or():
            return sa.or_(sa.false(), *(condition(p, asked) for p in tree.parts))
        case Not():
            return sa.not_(condition(tree.part, asked))
        case Test():
            if tree.op in WORDS:
                return ticket.c.id.in_(sorted(asked.words(tree)))
            return _FIELDS[tree.field](tree, asked)


def _queue(test: Test, asked: Asked) -> Clause:
    """Choose the names here: the same folding everywhere, and an index is used."""
    value = fold(str(test.value))
    pattern = Pattern(glob(value)) if test.op is Op.GLOB else None

    def fits(name: str) -> bool:
        name = fold(name)
        if test.op is Op.UNDER:
            return name == value or name.startswith(f"{value}::")
        if pattern is not None:
            return pattern.search(name.encode(errors="replace")) is not None
        return test.op is Op.PRESENT or name == value

    return ticket.c.queue.in_([name for name in asked.queues if fits(name)])


def _plain(column: sa.Column[str]) -> Callable[[Test, Asked], Clause]:
    """Compare a word of ours as it is."""
    return lambda test, _asked: column == str(test.value).lower()


def _text(column: sa.Column[str]) -> Callable[[Test, Asked], Clause]:
    return lambda test, asked: _texts(column, test, asked.dialect)


def _number(test: Test, asked: Asked) -> Clause:
    if test.op is Op.EQUALS:
        return ticket.c.number == str(test.value)
    return _texts(ticket.c.number, test, asked.dialect)


def _tag(test: Test, asked: Asked) -> Clause:
    return sa.exists().where(
        ticket_tag.c.ticket_id == ticket.c.id,
        _texts(ticket_tag.c.tag, test, asked.dialect),
    )


def _article(*columns: sa.Column[str]) -> Callable[[Test, Asked], Clause]:
    """Ask whether one of the ticket's articles has it."""

    def holds(test: Test, asked: Asked) -> Clause:
        found = [_addresses(column, test, asked.dialect) for column in columns]
        return sa.exists().where(
            article.c.ticket_id == ticket.c.id,
            sa.or_(*found),
        )

    return holds


def _customer(test: Test, asked: Asked) -> Clause:
    return _addresses(ticket.c.customer, test, asked.dialect)


def _ordered(column: sa.Column[Any]) -> Callable[[Test, Asked], Clause]:
    return lambda test, _asked: _COMPARE[test.op](column, test.value)


def _age(test: Test, asked: Asked) -> Clause:
    """Older than a duration is: made before that moment."""
    if not isinstance(test.value, timedelta):
        raise TypeError(f"age is compared with {test.value!r}, not with a duration")
    return _COMPARE[_MIRRORED[test.op]](ticket.c.created_at, asked.now - test.value)


_COMPARE: Mapping[Op, Callable[[Any, Any], Clause]] = {
    Op.EQUALS: lambda column, value: column == value,
    Op.LESS: lambda column, value: column < value,
    Op.AT_MOST: lambda column, value: column <= value,
    Op.MORE: lambda column, value: column > value,
    Op.AT_LEAST: lambda column, value: column >= value,
}
_MIRRORED: Mapping[Op, Op] = {
    Op.EQUALS: Op.EQUALS,
    Op.LESS: Op.MORE,
    Op.AT_MOST: Op.AT_LEAST,
    Op.MORE: Op.LESS,
    Op.AT_LEAST: Op.AT_MOST,
}

#: Field of the search language → how SQL is asked.
_FIELDS: Mapping[str, Callable[[Test, Asked], Clause]] = {
    "queue": _queue,
    "state": _plain(ticket.c.state),
    "state_type": _plain(ticket.c.state_type),
    "priority": _ordered(ticket.c.priority),
    "owner": _text(ticket.c.owner),
    "tag": _tag,
    "number": _number,
    "customer": _customer,
    "from": _article(article.c.from_text),
    "to": _article(article.c.to_text, article.c.cc_text),
    "created": _ordered(ticket.c.created_at),
    "updated": _ordered(ticket.c.changed_at),
    "age": _age,
}


def _texts(column: ColumnElement[str], test: Test, dialect: str) -> Clause:
    if test.op is Op.PRESENT:
        return column != ""
    folded, values = _folded(column, str(test.value), dialect)
    if test.op is Op.EQUALS:
        return folded.in_(values)
    patterns = [_PATTERNS[test.op](value) for value in values]
    return _like_any(folded, patterns)


def _addresses(column: ColumnElement[str], test: Test, dialect: str) -> Clause:
    """Ask a text with one address, or with several, as a header field has them."""
    forms = _ADDRESSES.get(test.op)
    if forms is None:
        return _texts(column, test, dialect)
    quote = _like if test.op is Op.GLOB else _quote
    folded, values = _folded(column, str(test.value), dialect)
    patterns = [form.replace("*", quote(v)) for form in forms for v in values]
    return _like_any(folded, patterns)


def _like_any(folded: ColumnElement[str], patterns: Sequence[str]) -> Clause:
    return sa.or_(*(folded.like(pattern, escape=_ESCAPE) for pattern in patterns))


#: An address stands alone, in angle brackets, or in a list.
_WHOLE = ("*", "%<*>%", "*, %", "%, *", "%, *, %")
_AT_END = ("%{}*", "%{}*>%", "%{}*, %")
_DOMAIN = tuple(each.format("@") for each in _AT_END)
_BELOW = tuple(each.format("@%.") for each in _AT_END)
_ADDRESSES: Mapping[Op, tuple[str, ...]] = {
    Op.ADDRESS: _WHOLE,
    Op.EQUALS: _WHOLE,
    Op.GLOB: _WHOLE,
    Op.DOMAIN: _DOMAIN,
    Op.DOMAIN_TREE: _DOMAIN + _BELOW,
}


def _folded(
    column: ColumnElement[str], value: str, dialect: str
) -> tuple[ColumnElement[str], Sequence[str]]:
    """Return the column as it is compared, and what with."""
    if dialect == "sqlite" and not value.isascii():
        return sa.func.otrsd_fold(column, type_=sa.Text()), [fold(value)]
    lower: ColumnElement[str] = sa.func.lower(column, type_=sa.Text())
    if dialect in {"mysql", "mariadb"}:
        # Its usual collations take ü for u.
        lower = sa.collate(lower, "utf8mb4_bin")
    # A server's lower() keeps ß, folding does not.
    return lower, list(dict.fromkeys((fold(value), value.lower())))


def _fold(text: str | None) -> str | None:
    return None if text is None else fold(text)


def _quote(value: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        value = value.replace(special, _ESCAPE + special)
    return value


def _like(pattern: str) -> str:
    """Turn a glob into a pattern of LIKE."""
    return _quote(pattern).replace("*", "%").replace("?", "_")


_PATTERNS: Mapping[Op, Callable[[str], str]] = {
    Op.CONTAINS: lambda value: f"%{_quote(value)}%",
    Op.STARTS: lambda value: f"{_quote(value)}%",
    Op.ENDS: lambda value: f"%{_quote(value)}",
    Op.GLOB: _like,
}
