"""Addresses that are marked, as mails of ours to them came back for good.

In: the tally of hard bounces. Out: who is marked, and nobody once a person has cleared
the mark; that is a history row. What a mark does is the loop guard's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from otrsd.desk.loops import BOUNCES, MUTED
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Desk
from otrsd.errors import NotFoundError
from otrsd.store import tally, tickets
from otrsd.store.history import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedAddress:
    """One marked address."""

    address: str
    #: Mails that came back in the last ``MUTED`` days, and when the last one did.
    times: int
    last_at: datetime
    #: The number of the ticket that it belonged to.
    ticket: str
    #: Whether it gets no automatic mail, and until when at least.
    is_muted: bool
    until: datetime


def marked(desk: Desk) -> list[MarkedAddress]:
    """Return the marked addresses, the last to bounce first."""
    with desk.database.read() as connection:
        rows = tally.bounced(connection, desk.clock.now() - MUTED)
        found = [(row, tickets.by_id(connection, row.ticket_id or 0)) for row in rows]
    return [
        MarkedAddress(
            address=row.address,
            times=row.times,
            last_at=row.last_at,
            ticket=ticket.number if ticket else "",
            is_muted=row.times >= BOUNCES,
            until=row.last_at + MUTED,
        )
        for row, ticket in found
    ]


def clear(desk: Desk, address: str, who: Who) -> None:
    """Forget what came back from an address."""
    with desk.unit() as unit:
        times = tally.forget(unit.connection, tally.BOUNCED, address)
        if not times:
            raise NotFoundError(
                f"no mail has come back from {address!r}. Try: otrsd address list"
            )
        data = {"address": address.lower(), "times": times}
        event = "AddressCleared"
        unit.record(Change(type=event, actor=who.actor, cause=who.cause, data=data))
