"""The words of attachments: rows (article, part) → text, or why there is none.

Written by the extract lane, read by the index; they go with their article.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from otrsd.store.tables import article, part_text

#: Characters of attachments that one batch of the index takes into memory.
BATCH_CHARACTERS = 16 * 1024 * 1024
#: Databases limit the number of bound values in one statement.
_AT_ONCE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class PartText:
    """One part's words."""

    path: str
    text: str = ""
    #: Why it has none; empty where it has, or where it is just empty.
    reason: str = ""


def replace(connection: Connection, article_id: int, parts: Sequence[PartText]) -> None:
    """Store what an article's parts say, in place of what was known."""
    connection.execute(sa.delete(part_text).where(part_text.c.article_id == article_id))
    connection.execute(
        sa.insert(part_text),
        [
            {
                "article_id": article_id,
                "path": each.path,
                "characters": len(each.text),
                "reason": each.reason,
                "text": each.text,
            }
            for each in parts
        ],
    )


def texts(connection: Connection, article_ids: Sequence[int]) -> Mapping[int, str]:
    """Return the words of those of these articles that have some."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for start in range(0, len(article_ids), _AT_ONCE):
        some = article_ids[start : start + _AT_ONCE]
        rows = connection.execute(
            sa.select(part_text.c.article_id, part_text.c.text)
            .where(part_text.c.article_id.in_(some), part_text.c.characters > 0)
            .order_by(part_text.c.article_id, part_text.c.path)
        )
        for row in rows:
            found[row.article_id].append(row.text)
    return {article_id: "\n".join(several) for article_id, several in found.items()}


def fitting(connection: Connection, article_ids: Sequence[int]) -> int:
    """Return how many of these articles, in order, make one batch; at least one."""
    length = sa.func.sum(part_text.c.characters)
    rows = connection.execute(
        sa.select(part_text.c.article_id, length)
        .where(part_text.c.article_id.in_(list(article_ids)))
        .group_by(part_text.c.article_id)
    )
    lengths = {row[0]: int(row[1]) for row in rows}
    room = BATCH_CHARACTERS
    for n, article_id in enumerate(article_ids):
        room -= lengths.get(article_id, 0)
        if room < 0 and n:
            return n
    return len(article_ids)


def of_tickets(
    connection: Connection, ticket_ids: Sequence[int]
) -> Mapping[tuple[int, str], tuple[int, str]]:
    """Return (article, path) → (characters, reason) of these tickets' attachments."""
    rows = connection.execute(
        sa.select(
            part_text.c.article_id,
            part_text.c.path,
            part_text.c.characters,
            part_text.c.reason,
        )
        .join(article, article.c.id == part_text.c.article_id)
        .where(article.c.ticket_id.in_(list(ticket_ids)))
    )
    return {(r.article_id, r.path): (r.characters, r.reason) for r in rows}
