"""Relate: link a new ticket to those it has to do with, and say inside why.

A ticket that continues a closed one; a stranger's, which quotes another; those that one
mail made in several queues.
"""

from __future__ import annotations

from collections.abc import Sequence

from otrsd.desk import tickets
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Unit
from otrsd.model.changes import Changes
from otrsd.model.ticket import Ticket
from otrsd.postmaster.find import sender
from otrsd.postmaster.parts import Found, Screened
from otrsd.store.articles import Known

FOLLOW_UP = Who(actor="system", cause="follow-up")


def relate(unit: Unit, ticket: Ticket, found: Found, screened: Screened) -> None:
    """Link a new ticket to the one it continues, or a stranger's to what he quotes."""
    if found.continues is not None:
        old = found.continues
        text = f"This mail answers ticket {old.number}, but {found.inert}."
        data = {"suppressed": "follow-up", "reason": found.inert}
        tickets.remark(unit, old, "Misc", FOLLOW_UP, data)
        _link(unit, ticket, old, "continues", text)
    if found.quoted is not None:
        text = (
            f"This mail quotes ticket {found.quoted.number}, but its sender "
            f"{sender(screened) or '(no identity)'} takes no part in that ticket."
        )
        _link(unit, ticket, found.quoted, "quotes", text)


def _link(unit: Unit, ticket: Ticket, other: Ticket, kind: str, text: str) -> None:
    """Relate a new ticket to another one, and say inside why."""
    tickets.link(unit, ticket, other, kind, FOLLOW_UP)
    tickets.change(unit, ticket, Changes(note=text), FOLLOW_UP)


def link_copies(unit: Unit, ticket_id: int, copies: Sequence[Known]) -> None:
    """Link the tickets that one mail made in several queues."""
    ticket = unit.ticket(ticket_id)
    for known in copies:
        other = unit.ticket(known.ticket_id)
        if ticket is not None and other is not None:
            tickets.link(unit, ticket, other, "same mail", FOLLOW_UP)
