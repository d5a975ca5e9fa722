"""Ticket rows ↔ :class:`~otrsd.model.ticket.Ticket`; also tags, links, participants.

Every function takes a connection; whether it is a write transaction is the
caller's business. Policy (who may, what follows) lives in ``desk/``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from otrsd.model.ticket import StateType, Ticket
from otrsd.store.tables import participant, ticket, ticket_link, ticket_tag
from otrsd.store.text import storable, unique

_COLUMNS = (
    ticket.c.id,
    ticket.c.number,
    ticket.c.title,
    ticket.c.queue,
    ticket.c.state,
    ticket.c.state_type,
    ticket.c.priority,
    ticket.c.owner,
    ticket.c.locked_by,
    ticket.c.customer,
    ticket.c.fields,
    ticket.c.open_key,
    ticket.c.created_at,
    ticket.c.changed_at,
    ticket.c.merged_into,
    ticket.c.version,
)
#: What a ticket says of the tickets that were merged into it.
MERGED = "merged"
#: Merges one behind the other that are followed (features.md C8).
HOPS = 10
#: The one SELECT that reads tickets; others narrow it.
TICKETS = sa.select(*_COLUMNS)

_BY_ID = TICKETS.where(ticket.c.id == sa.bindparam("key"))
_BY_NUMBER = TICKETS.where(ticket.c.number == sa.bindparam("key"))
_BY_OPEN_KEY = TICKETS.where(ticket.c.open_key == sa.bindparam("key"))
_TAGS = (
    sa.select(ticket_tag.c.tag)
    .where(ticket_tag.c.ticket_id == sa.bindparam("key"))
    .order_by(ticket_tag.c.tag)
)
_IS_PARTICIPANT = sa.select(participant.c.ticket_id).where(
    participant.c.ticket_id == sa.bindparam("key"),
    participant.c.address == sa.bindparam("address"),
)
_INSERT = sa.insert(ticket)
_NUMBER = (
    sa.update(ticket)
    .where(ticket.c.id == sa.bindparam("key"))
    .values(number=sa.bindparam("new_number"))
)


def insert(connection: Connection, values: Mapping[str, Any]) -> int:
    """Add one ticket; return its id."""
    result = connection.execute(_INSERT, dict(values))
    key = result.inserted_primary_key
    if key is None:
        raise AssertionError("a ticket was inserted without a key")
    return int(key[0])


def set_numbers(connection: Connection, numbers: Mapping[int, str]) -> None:
    """Give tickets, by id, their numbers."""
    connection.execute(
        _NUMBER, [{"key": key, "new_number": n} for key, n in numbers.items()]
    )


def update(
    connection: Connection, ticket_id: int, version: int, values: Mapping[str, Any]
) -> bool:
    """Change columns if the ticket still has ``version``; tell whether it had."""
    result = connection.execute(
        sa.update(ticket)
        .where(ticket.c.id == ticket_id, ticket.c.version == version)
        .values(version=version + 1, **values)
    )
    return result.rowcount == 1


def by_id(
    connection: Connection, ticket_id: int, *, lock: bool = False
) -> Ticket | None:
    """Return one ticket; with ``lock`` its row stays locked until the commit."""
    return _one(connection, _BY_ID, ticket_id, lock=lock)


def closed_at(connection: Connection, ticket_id: int) -> datetime | None:
    """Return when a ticket was closed; ``None`` while it is active."""
    found: datetime | None = connection.execute(
        sa.select(ticket.c.closed_at).where(ticket.c.id == ticket_id)
    ).scalar()
    return found


def by_number(
    connection: Connection, number: str, *, lock: bool = False
) -> Ticket | None:
    """Return the ticket with this number."""
    return _one(connection, _BY_NUMBER, number, lock=lock)


def has_one(connection: Connection, customer: str) -> bool:
    """Tell whether this customer has a ticket, whatever its state."""
    statement = sa.select(ticket.c.id).where(ticket.c.customer == storable(customer))
    return connection.execute(statement.limit(1)).first() is not None


def by_open_key(
    connection: Connection, key: str, *, lock: bool = False
) -> Ticket | None:
    """Return the one active ticket that holds ``key``."""
    return _one(connection, _BY_OPEN_KEY, unique(key), lock=lock)


def by_ids(connection: Connection, ids: Sequence[int]) -> list[Ticket]:
    """Return these tickets, in no order; at most some hundred at once."""
    return read(connection, TICKETS.where(ticket.c.id.in_(ids)))


def read(connection: Connection, statement: sa.Select[Any]) -> list[Ticket]:
    """Run a narrowed form of ``TICKETS``; tags are read with it."""
    rows = connection.execute(statement).all()
    tags: defaultdict[int, list[str]] = defaultdict(list)
    ids = [row.id for row in rows]
    # Databases limit the number of bound values in one statement.
    for start in range(0, len(ids), 500):
        found = connection.execute(
            sa.select(ticket_tag.c.ticket_id, ticket_tag.c.tag)
            .where(ticket_tag.c.ticket_id.in_(ids[start : start + 500]))
            .order_by(ticket_tag.c.tag)
        )
        for ticket_id, tag in found:
            tags[ticket_id].append(tag)
    return [_ticket(row, tags[row.id]) for row in rows]


def remove_tag(connection: Connection, ticket_id: int, tag: str) -> None:
    """Take a tag away."""
    connection.execute(
        sa.delete(ticket_tag).where(
            ticket_tag.c.ticket_id == ticket_id, ticket_tag.c.tag == tag
        )
    )


def add_tags(connection: Connection, pairs: Iterable[tuple[int, str]]) -> None:
    """Add tags that the tickets do not have yet (the caller has looked)."""
    rows = [{"ticket_id": key, "tag": tag} for key, tag in dict.fromkeys(pairs)]
    if rows:
        connection.execute(sa.insert(ticket_tag), rows)


def is_participant(connection: Connection, ticket_id: int, address: str) -> bool:
    """Tell whether ``address`` may add to the ticket by mail."""
    values = {"key": ticket_id, "address": storable(address)}
    return connection.execute(_IS_PARTICIPANT, values).first() is not None


def taking_part(
    connection: Connection, ticket_ids: Sequence[int], address: str
) -> set[int]:
    """Return those of the tickets to which ``address`` may add by mail: one look."""
    if not ticket_ids:
        return set()
    rows = connection.execute(
        sa.select(participant.c.ticket_id).where(
            participant.c.ticket_id.in_(ticket_ids),
            participant.c.address == storable(address),
        )
    )
    return set(rows.scalars())


def participants(connection: Connection, ticket_id: int) -> tuple[str, ...]:
    """Return the addresses that may add to the ticket by mail."""
    rows = connection.execute(
        sa.select(participant.c.address)
        .where(participant.c.ticket_id == ticket_id)
        .order_by(participant.c.address)
    )
    return tuple(row.address for row in rows)


def add_participants(connection: Connection, pairs: Sequence[tuple[int, str]]) -> None:
    """Add (ticket, address) pairs that are not there yet (the caller has looked)."""
    rows = [{"ticket_id": key, "address": a} for key, a in dict.fromkeys(pairs)]
    if rows:
        connection.execute(sa.insert(participant), rows)


def add_link(connection: Connection, ticket_id: int, other_id: int, kind: str) -> None:
    """Relate two tickets; relating them twice is no error."""
    values = {"ticket_id": ticket_id, "other_id": other_id, "kind": kind}
    there = sa.select(ticket_link.c.kind).where(
        *(ticket_link.c[name] == value for name, value in values.items())
    )
    if connection.execute(there).first() is None:
        connection.execute(sa.insert(ticket_link), values)


def redirect(connection: Connection, ticket_id: int, into: int) -> None:
    """Let a merged ticket, unlocked now, point to the one it was merged into."""
    connection.execute(
        sa.update(ticket)
        .where(ticket.c.id == ticket_id)
        .values(merged_into=into, locked_by="", locked_at=None)
    )


def root(connection: Connection, ticket_id: int) -> int:
    """Return the id of the ticket into which this one was merged in the end."""
    for _ in range(HOPS):
        into = connection.execute(
            sa.select(ticket.c.merged_into).where(ticket.c.id == ticket_id)
        ).scalar()
        if into is None:
            break
        ticket_id = into
    return ticket_id


def family(connection: Connection, ticket_id: int) -> tuple[tuple[int, ...], ...]:
    """Return the ticket, then those merged into it, then those merged into them."""
    generations: list[tuple[int, ...]] = [(ticket_id,)]
    while generations[-1] and len(generations) <= HOPS + 1:
        rows = connection.execute(
            sa.select(ticket_link.c.other_id).where(
                ticket_link.c.ticket_id.in_(generations[-1]),
                ticket_link.c.kind == MERGED,
            )
        )
        generations.append(tuple(sorted(rows.scalars())))
    return tuple(each for each in generations if each)


def links(connection: Connection, ticket_id: int) -> tuple[tuple[int, str], ...]:
    """Return (other ticket's id, kind) of both directions."""
    rows = connection.execute(
        sa.select(ticket_link).where(
            sa.or_(
                ticket_link.c.ticket_id == ticket_id,
                ticket_link.c.other_id == ticket_id,
            )
        )
    )
    return tuple(
        (row.other_id if row.ticket_id == ticket_id else row.ticket_id, row.kind)
        for row in rows
    )


def _one(
    connection: Connection, statement: sa.Select[Any], key: int | str, *, lock: bool
) -> Ticket | None:
    if lock and connection.dialect.name != "sqlite":
        statement = statement.with_for_update()
    row = connection.execute(statement, {"key": key}).first()
    if row is None:
        return None
    tags = [found.tag for found in connection.execute(_TAGS, {"key": row.id})]
    return _ticket(row, tags)


def _ticket(row: Row[Any], tags: Sequence[str]) -> Ticket:
    return Ticket(
        id=row.id,
        number=row.number or "",
        title=row.title,
        queue=row.queue,
        state=row.state,
        state_type=StateType(row.state_type),
        priority=row.priority,
        owner=row.owner,
        locked_by=row.locked_by,
        customer=row.customer,
        tags=tuple(tags),
        fields=json.loads(row.fields),
        open_key=row.open_key,
        created_at=row.created_at,
        changed_at=row.changed_at,
        merged_into=row.merged_into,
        version=row.version,
    )
