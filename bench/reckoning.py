"""The reckoning: the clients' ledger against what otrsd has in the end.

Lost is an acknowledged mail that is no article, not in the trash and not held, or
whose octets are not stored as they were sent. Doubled is a mail (Message-ID and
sha256) that stands in two articles, or a spool id that made two things. Everything
else that must hold after a crash stands in ``wrong``: nothing stored that nobody sent,
ticket numbers and history without gaps, nothing refused for good, and a search that
finds a mail by the word that only it has.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bench.ingest import drained
from bench.ledger import Mail, Reader
from bench.waiting import until
from otrsd.app import App
from otrsd.desk.search import find_tickets
from otrsd.errors import NotFoundError, OtrsdError
from otrsd.language.query import parse_query
from otrsd.spool import State
from otrsd.store import content
from otrsd.store.engine import Connection
from otrsd.store.tables import article, counter, history, history_head, ticket, trash

#: Seconds within which everything that waits must be carried.
DRAIN = 90.0
_MANY = 1_000_000
#: So many mails are searched for in the end.
_SEARCHES = 300
_OWN_WORD = re.compile(r"Kennwort (\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """What came of it."""

    acknowledged: int
    articles: int
    trash: int
    held: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Tell whether every promise was kept."""
        return not (self.lost or self.doubled or self.wrong)

    def __str__(self) -> str:
        where = f"{self.articles} articles, {self.trash} in the trash, {self.held} held"
        toll = f"{len(self.lost)} lost, {len(self.doubled)} doubled"
        lines = [f"{self.acknowledged} mails acknowledged: {where}; {toll}"]
        for word in ("lost", "doubled", "wrong"):
            found: Sequence[str] = getattr(self, word)
            lines += [f"  {word}: {each}" for each in found[:10]]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Everything otrsd has of mails."""

    #: (Message-ID, sha256) of every article of a mail.
    articles: tuple[Mail, ...]
    #: sha256 of every mail in the trash.
    trash: tuple[str, ...]
    held: frozenset[str]
    #: Spool ids of articles and of trash rows.
    spool_ids: tuple[str, ...]
    #: sha256 whose octets are not stored intact.
    broken: frozenset[str]


def drain(app: App) -> None:
    """Wait until every mail that can go on has gone on."""
    drops = app.state / "drop"

    def is_empty() -> bool:
        try:
            waiting = any(each.is_file() for each in drops.iterdir())
            return not waiting and drained(app)
        except OtrsdError:
            return False

    until("everything that waits is carried", is_empty, seconds=DRAIN, every=0.2)


def reckon(app: App, ledger: Reader) -> Reckoning:
    """Compare what was acknowledged with what there is."""
    with app.database.read() as connection:
        stored = _stored(app, connection)
        gaps = [*_gaps(connection)]
        rows = connection.execute(sa.select(article.c.ticket_id, article.c.text)).all()
    gaps += _not_found(app, [(row.ticket_id, row.text) for row in rows])
    copies = Counter(stored.articles)
    twice = Counter(stored.spool_ids)
    there = {sha256 for _, sha256 in copies} | set(stored.trash) | stored.held
    lost = [mail for mail in ledger.acks if mail[1] not in there - stored.broken]
    doubled = [" ".join(mail) for mail, count in copies.items() if count > 1]
    doubled += [f"spool id {key}" for key, count in twice.items() if count > 1]
    sent = {sha256 for _, sha256 in ledger.intents}
    wrong = [f"nobody sent {each}" for each in sorted(there - sent)]
    wrong += [f"refused for good: {each}" for each in ledger.bounces]
    if ledger.open:
        wrong.append(f"{ledger.open} mails were never acknowledged")
    return Reckoning(
        acknowledged=len(ledger.acks),
        articles=len(copies),
        trash=len(set(stored.trash)),
        held=len(stored.held),
        lost=tuple(sorted(" ".join(mail) for mail in lost)),
        doubled=tuple(sorted(doubled)),
        wrong=tuple(wrong + gaps),
    )


def _not_found(app: App, texts: Sequence[tuple[int, str]]) -> Iterable[str]:
    """Search for some mails by the word that only they have."""
    words = [
        (ticket_id, found[1])
        for ticket_id, text in texts
        if (found := _OWN_WORD.search(text))
    ]
    for ticket_id, word in words[:: max(1, len(words) // _SEARCHES)]:
        tree = parse_query(word).tree
        hits = find_tickets(app.database, app.index, tree, clock=app.clock)
        ids = [each.id for each in hits.tickets]
        if ids != [ticket_id]:
            yield f"{word} of ticket {ticket_id} is found in {ids}"


def _stored(app: App, connection: Connection) -> _Stored:
    mails = sa.select(article.c.message_id, article.c.content_sha256)
    rows = connection.execute(mails.where(article.c.spool_id != "")).all()
    articles = tuple((f"<{row[0].strip('<>')}>", row[1]) for row in rows)
    thrown = tuple(connection.execute(sa.select(trash.c.content_sha256)).scalars())
    ids = [
        spool_id
        for column in (article.c.spool_id, trash.c.spool_id)
        for spool_id in connection.execute(sa.select(column)).scalars()
        if spool_id
    ]
    held = {each.sha256 for each in app.spool.entries(State.HELD, limit=_MANY)}
    kept = {sha256 for _, sha256 in articles} | set(thrown)
    return _Stored(
        articles=articles,
        trash=thrown,
        held=frozenset(held),
        spool_ids=tuple(ids),
        broken=frozenset(_broken(connection, kept)),
    )


def _broken(connection: Connection, names: Iterable[str]) -> Iterable[str]:
    for sha256 in names:
        try:
            content.read(connection, sha256)
        except (NotFoundError, zlib.error):
            yield sha256


def _gaps(connection: Connection) -> Iterable[str]:
    """Name what is not gapless."""
    given = connection.execute(
        sa.select(sa.func.sum(counter.c.value)).where(counter.c.name.like("ticket/%"))
    ).scalar()
    tickets = connection.execute(
        sa.select(sa.func.count(sa.distinct(ticket.c.number)))
    ).scalar()
    if (given or 0) != (tickets or 0):
        yield f"{given} ticket numbers were given to {tickets} tickets"
    rows = connection.execute(sa.select(sa.func.count(history.c.seq))).scalar()
    head = connection.execute(sa.select(history_head.c.seq)).scalar()
    if (rows or 0) != (head or 0):
        yield f"the history has {rows} rows and ends at {head}"
