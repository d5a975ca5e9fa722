"""What plugins and rules return to change a ticket; core alone applies it.

Values are proposals: ``None`` means no opinion. Core folds all of them (the first
one to set a field wins; tags add up), applies the result in the mail's own
transaction, and records who proposed what and what was ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from otrsd.model.ticket import Ticket

#: In :attr:`PluginState.ticket_id`: the ticket this mail makes or joins.
THIS_TICKET = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginState:
    """One row of a plugin's own memory, part of the mail's transaction."""

    #: Any JSON value.
    value: Mapping[str, Any]
    #: The ticket it is about; ``THIS_TICKET`` for the one of this mail.
    ticket_id: int | None = None
    #: When ``on_due`` is to be called with this row's key (UTC).
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """One proposal for one ticket."""

    #: ``None``: the ticket of this mail; else the id of another one.
    ticket_id: int | None = None
    queue: str | None = None
    title: str | None = None
    #: Name of a state (``model.ticket.STATES``).
    state: str | None = None
    #: 1 … 5.
    priority: int | None = None
    owner: str | None = None
    #: At most one active ticket may have it; a second one is refused by the desk.
    open_key: str | None = None
    tags: tuple[str, ...] = ()
    #: Tags to take away; one that is in ``tags`` too stays.
    untag: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    #: Whether a mail that makes a ticket gets no automatic answer.
    no_auto_reply: bool = False
    #: Text of an internal note to add.
    note: str | None = None
    #: Reason: put the mail into the trash instead, no ticket, no article.
    discard: str | None = None
    #: Reason: keep the mail in the spool until a person releases it.
    hold: str | None = None
    #: Where ``on_due`` has no mail: make a ticket (``queue`` and ``title`` given).
    open_ticket: bool = False
    #: Rows of the plugin's memory to write; ``None`` deletes the row.
    plugin_state: Mapping[str, PluginState | None] = field(default_factory=dict)


class Tickets(Protocol):
    """Read access for plugins, inside the mail's transaction; no I/O of their own."""

    def by_id(self, ticket_id: int) -> Ticket | None:
        """Return the ticket with this internal id."""
        ...

    def by_number(self, number: str) -> Ticket | None:
        """Return the ticket with this ticket number."""
        ...

    def by_open_key(self, key: str) -> Ticket | None:
        """Return the one active ticket that holds ``key``."""
        ...

    def state(self, key: str) -> PluginState | None:
        """Return the calling plugin's row ``key``, locked until the commit."""
        ...

    def now(self) -> datetime:
        """Return the time of this transaction (UTC)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The ticket as it will be written unless a proposal changes it."""

    #: The ticket the mail joins; ``None`` where a new one is made.
    ticket: Ticket | None
    #: Who found it: a plugin's name, ``follow-up``; empty for a new one.
    found_by: str = ""
    queue: str
    title: str
    state: str
    priority: int
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    #: Read access, bound to the calling plugin.
    tickets: Tickets
