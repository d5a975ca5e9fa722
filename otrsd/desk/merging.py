"""Merge: one ticket goes on in another, and what comes for it follows.

Nothing moves: articles and history stay where the chained history says they were
written (docs/decisions). The merged ticket points to the main one; mail that names its
number, a Message-ID or a token of it is followed there, readers see both as one, and
words find the main ticket. Refused with InputError, nothing written: a ticket into
itself, what is merged already (so there is no circle), and more than ``HOPS`` merges
one behind the other.
"""

from __future__ import annotations

from itertools import chain

from otrsd.desk import tickets
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.unit import Unit
from otrsd.errors import InputError
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.model.ticket import StateType, Ticket
from otrsd.store import articles, tickets as rows
from otrsd.store.engine import Connection
from otrsd.store.tickets import HOPS, MERGED


def merge(unit: Unit, ticket: Ticket, main: Ticket, who: Who) -> Ticket:
    """Merge ``ticket`` into ``main``; return the latter as it now stands."""
    unit.flush()
    family = rows.family(unit.connection, ticket.id)
    _check(ticket, main, len(family))
    _close(unit, ticket, main, who)
    rows.redirect(unit.connection, ticket.id, main.id)
    tickets.link(unit, main, ticket, MERGED, who)
    tickets.join(unit, main, rows.participants(unit.connection, ticket.id))
    tickets.remark(unit, main, "Merged", who, {"from": ticket.number})
    # What a machine reports about goes on there, too.
    main = tickets.change(unit, main, Changes(open_key=_key(ticket, main)), who)
    for article_id in articles.ids_of_tickets(unit.connection, [*chain(*family)]):
        unit.index_later(article_id)
    return main


def followed(unit: Unit, ticket: Ticket) -> Ticket:
    """Return the ticket into which this one was merged in the end; else itself."""
    for _ in range(HOPS):
        main = unit.ticket(ticket.merged_into) if ticket.merged_into else None
        if main is None:
            break
        ticket = main
    return ticket


def all_of(connection: Connection, ticket: Ticket) -> tuple[int, ...]:
    """Return the ids of a ticket and of all that were merged into it."""
    return tuple(chain(*rows.family(connection, ticket.id)))


def _check(ticket: Ticket, main: Ticket, generations: int) -> None:
    for each in (ticket, main):
        if each.merged_into is not None or each.state_type is StateType.REMOVED:
            raise InputError(
                f"ticket {each.number} is {each.state}: it can't be merged. "
                f"Try: otrsd ticket show {each.number}"
            )
    if ticket.id == main.id:
        raise InputError(f"ticket {ticket.number} can't be merged into itself")
    if generations > HOPS:
        raise InputError(
            f"ticket {ticket.number} is the end of {HOPS} merges one behind the "
            f"other. Merge {main.number} into it instead"
        )


def _close(unit: Unit, ticket: Ticket, main: Ticket, who: Who) -> None:
    tickets.remark(unit, ticket, "Merged", who, {"into": main.number})
    note = NewArticle(
        kind=ArticleKind.SYSTEM,
        sender_type=SenderType.SYSTEM,
        visible_to_customer=True,
        from_text=who.actor,
        subject=f"Merged into ticket {main.number}",
        text=f"This ticket goes on as ticket {main.number}.",
    )
    tickets.append(unit, ticket, note, who, event="AddNote")
    tickets.change(unit, ticket, Changes(state="merged"), who)


def _key(ticket: Ticket, main: Ticket) -> str | None:
    return ticket.open_key if main.open_key is None else None
