"""A ticket, and the states it can be in (OTRS' names and types)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class StateType(StrEnum):
    """What a state means to the machine; its name is for people."""

    NEW = "new"
    OPEN = "open"
    PENDING_REMINDER = "pending_reminder"
    PENDING_AUTO = "pending_auto"
    CLOSED = "closed"
    REMOVED = "removed"
    MERGED = "merged"


#: The states every site has: name → type.
STATES: Mapping[str, StateType] = {
    "new": StateType.NEW,
    "open": StateType.OPEN,
    "pending reminder": StateType.PENDING_REMINDER,
    "pending auto close": StateType.PENDING_AUTO,
    "closed successful": StateType.CLOSED,
    "closed unsuccessful": StateType.CLOSED,
    "removed": StateType.REMOVED,
    "merged": StateType.MERGED,
}

#: Types in which nobody works on the ticket any more.
INACTIVE = frozenset({StateType.CLOSED, StateType.REMOVED, StateType.MERGED})

#: Priorities: number → name (1 very low … 5 very high).
PRIORITIES: Mapping[int, str] = {
    1: "very low",
    2: "low",
    3: "normal",
    4: "high",
    5: "very high",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A case, as it stood when it was read."""

    #: Internal key, never shown as the ticket's name.
    id: int
    #: Human key such as ``2026112310000011``; empty until its batch commits.
    number: str
    title: str
    queue: str
    state: str
    state_type: StateType
    #: 1 very low … 5 very high.
    priority: int = 3
    owner: str = ""
    #: Login of the agent who holds the lock; empty means unlocked.
    locked_by: str = ""
    #: Address of the customer it belongs to.
    customer: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    #: At most one active ticket has this key; ``None`` once inactive.
    open_key: str | None = None
    created_at: datetime
    changed_at: datetime
    #: Id of the ticket that this one was merged into; mail follows it there.
    merged_into: int | None = None
    #: Grows by one with every change; a writer names the one it has seen.
    version: int = 1

    @property
    def is_active(self) -> bool:
        """Tell whether somebody may still have to work on it."""
        return self.state_type not in INACTIVE
