"""One committed change; it feeds the history, the outbox and plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of one ticket, in OTRS' history types.

    NewTicket, FollowUp, AddNote, Move, StateUpdate, PriorityUpdate, OwnerUpdate,
    TitleUpdate, TagUpdate, TicketDynamicFieldUpdate, TicketLinkAdd, Duplicate,
    OpenKeyRefused, Merged, Discarded, Restored, EmailAgent, EmailCustomer,
    SendAutoReply, SendAutoReject, LoopProtection, Bounce, DeliveryReport,
    AddressCleared, Misc.
    """

    #: The history row's sequence number; unique, and growing in commit order.
    id: int
    type: str
    at: datetime
    #: ``system``, an agent's login, or an address.
    actor: str
    #: What brought it about: ``rule:NAME``, ``plugin:NAME``, ``mail``, ``cli`` …
    cause: str
    ticket_id: int | None = None
    article_id: int | None = None
    #: Old and new value and what else belongs to it.
    data: Mapping[str, Any] = field(default_factory=dict)
