"""Find tickets: SQL decides the structured fields, the index decides the words.

A search that needs words while there is no usable index gives no tickets and says
so (:attr:`Found.index`); one without words works all the time. There is no cap: a
page that is not the last carries the cursor of the next. :func:`rebuild` makes the
index anew from SQL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from otrsd.clock import Clock
from otrsd.language.tree import And, Not, Test, Tree
from otrsd.model.ticket import Ticket
from otrsd.search import query as asking
from otrsd.search.backend import (
    Condition,
    Document,
    Index,
    IndexAwayError,
    Progress,
    State,
)
from otrsd.store import conditions, index_todo, matching, tickets
from otrsd.store.engine import Connection, Database
from otrsd.store.index_todo import Text

#: Tickets asked for in one statement.
_AT_ONCE = 400
#: Ids looked through in one statement where words narrow nothing.
_STRETCH = 4_000
#: Articles in one commit of a rebuild.
_BATCH = 400

_USABLE = Condition(state=State.OK)


class Order(StrEnum):
    """How results are sorted."""

    #: The newest ticket first.
    NEWEST = "newest"
    #: The one changed last first.
    UPDATED = "updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of tickets."""

    tickets: tuple[Ticket, ...] = ()
    #: Pass as ``after`` for the next page; 0: this was the last.
    next: int = 0
    #: What the person who searched should know.
    notes: tuple[str, ...] = ()
    #: How the index is; not usable: words could not be looked for.
    index: Condition = _USABLE


def find_tickets(  # noqa: PLR0913 - two databases, a question, a page
    database: Database,
    index: Index,
    tree: Tree,
    *,
    clock: Clock,
    limit: int = 50,
    after: int = 0,
    order: Order = Order.NEWEST,
) -> Found:
    """Return a page of the tickets that match ``tree``; ``after``: a ticket's id."""
    with database.read() as connection:
        search = _Search(connection, index, clock.now())
        try:
            ids = search.page(tree, limit + 1, after, order)
        except IndexAwayError as error:
            state = index.state()
            if state.usable:
                state = Condition(state=State.CORRUPT, reason=str(error))
            return Found(index=state)
        found = search.read(ids[:limit])
    return Found(
        tickets=tuple(found),
        next=ids[limit - 1] if len(ids) > limit else 0,
        notes=tuple(search.notes),
    )


def matches(
    database: Database, index: Index, tree: Tree, *, clock: Clock
) -> Collection[int]:
    """Return the ids of all tickets that match; raise IndexAwayError."""
    with database.read() as connection:
        search = _Search(connection, index, clock.now())
        return search.page(tree, None, 0, Order.NEWEST)


class _Search:
    """One search over one connection."""

    def __init__(self, connection: Connection, index: Index, now: datetime) -> None:
        self._connection = connection
        self._index = index
        self._now = now
        self._known: dict[Test, frozenset[int]] = {}
        self.notes: dict[str, None] = {}
        conditions.prepare(connection)
        self._queues = conditions.queues_in_use(connection)

    def page(
        self, tree: Tree, limit: int | None, after: int, order: Order
    ) -> Sequence[int]:
        """Return ticket ids in order, from behind ``after`` on."""
        if order is Order.UPDATED:
            return self._by_change(tree, limit, after)
        found: list[int] = []
        for some in self._stretches(tree, limit, after):
            found += some
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def read(self, ids: Sequence[int]) -> list[Ticket]:
        """Return these tickets, in this order."""
        found: dict[int, Ticket] = {}
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            found |= {t.id: t for t in tickets.by_ids(self._connection, some)}
        return [found[each] for each in ids if each in found]

    def _by_change(self, tree: Tree, limit: int | None, after: int) -> Sequence[int]:
        found: list[tuple[datetime, int]] = []
        for some in self._stretches(tree, None, 0):
            for start in range(0, len(some), _AT_ONCE):
                part = some[start : start + _AT_ONCE]
                found += matching.changed_at(self._connection, part)
        ids = [ticket_id for _, ticket_id in sorted(found, reverse=True)]
        first = ids.index(after) + 1 if after in ids else 0
        return ids[first:] if limit is None else ids[first : first + limit]

    def _stretches(
        self, tree: Tree, limit: int | None, after: int
    ) -> Iterator[Sequence[int]]:
        """Yield matching ids by falling id, stretch by stretch."""
        narrow, rest = _split(tree)
        if narrow is not None:
            yield from self._among(self._having(narrow), rest, after)
        elif asking.has_words(rest):
            yield from self._everywhere(rest, after)
        else:
            asked = self._asked(())
            yield matching.below(
                self._connection, rest, asked, after=after, limit=limit
            )

    def _among(
        self, ids: Sequence[int], rest: Tree, after: int
    ) -> Iterator[Sequence[int]]:
        """Yield those of the tickets the index named that SQL agrees with."""
        left = [each for each in ids if not after or each < after]
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            yield matching.among(self._connection, rest, self._asked(some), some)

    def _everywhere(self, rest: Tree, after: int) -> Iterator[Sequence[int]]:
        """Yield from all tickets where words alone narrow nothing."""
        top = matching.newest(self._connection)
        last = min(after - 1, top) if after else top
        for end in range(last, 0, -_STRETCH):
            first = max(end - _STRETCH, 0) + 1
            asked = self._asked(range(first, end + 1))
            yield matching.between(self._connection, rest, asked, first, end)

    def _asked(self, among: Collection[int]) -> conditions.Asked:
        return conditions.Asked(
            now=self._now,
            dialect=self._connection.dialect.name,
            queues=self._queues,
            words=lambda test: self._leaf(test).intersection(among),
        )

    def _leaf(self, test: Test) -> frozenset[int]:
        if test not in self._known:
            self._known[test] = frozenset(self._having(test))
        return self._known[test]

    def _having(self, tree: Tree) -> Sequence[int]:
        hits = self._index.search(asking.wanted(tree), limit=None)
        self.notes.update(dict.fromkeys(hits.notes))
        return hits.ticket_ids


def _split(tree: Tree) -> tuple[Tree | None, Tree]:
    """Part a search into words that narrow it down, and the rest for SQL."""
    parts = tree.parts if isinstance(tree, And) else (tree,)
    narrow = [p for p in parts if asking.is_words(p) and not isinstance(p, Not)]
    narrow = [part for part in narrow if part != And(parts=())]
    rest = And(parts=tuple(part for part in parts if part not in narrow))
    return (And(parts=tuple(narrow)) if narrow else None), rest


def document(text: Text) -> Document:
    """Return an article as the index takes it."""
    title = "" if text.title in text.subject else text.title
    return Document(
        article_id=text.article_id,
        ticket_id=text.ticket_id,
        subject=text.subject,
        sender=text.sender,
        recipients=text.recipients,
        attachments=text.attachments,
        body=text.body,
        extra=f"{text.number} {title}",
    )


def rebuild(database: Database, index: Index, progress: Progress) -> None:
    """Build the index anew from SQL beside the live one, then swap.

    Works while the index lane runs: as long as this goes on, the lane goes on with
    the old index but keeps its rows, and pays them again to the new one.
    """
    with database.write() as connection:
        index.belong_to(index_todo.give_home(connection))
    with database.read() as connection:
        total = index_todo.count_articles(connection)
    index.rebuild(_batches(database), total, progress)


def _batches(database: Database) -> Iterator[Sequence[Document]]:
    """Read all articles; no connection is kept while a batch is written."""
    after = 0
    while True:
        with database.read() as connection:
            found = index_todo.texts_after(connection, after, limit=_BATCH)
        if not found:
            return
        yield [document(text) for text in found]
        after = found[-1].article_id
