"""What a plugin may read inside the mail's transaction, bound to that plugin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from otrsd.desk.merging import followed
from otrsd.desk.unit import Unit
from otrsd.model.changes import PluginState
from otrsd.model.ticket import Ticket
from otrsd.store import plugin_state, tickets


@dataclass(frozen=True, slots=True)
class View:
    """Implements :class:`otrsd.model.changes.Tickets`; rows read stay locked."""

    unit: Unit
    plugin: str

    def by_id(self, ticket_id: int) -> Ticket | None:
        """Return the ticket with this internal id, or the one it was merged into."""
        found = self.unit.ticket(ticket_id)
        return None if found is None else followed(self.unit, found)

    def by_number(self, number: str) -> Ticket | None:
        """Return the ticket with this number, or the one it was merged into."""
        self.unit.flush()
        found = tickets.by_number(self.unit.connection, number, lock=True)
        return None if found is None else followed(self.unit, found)

    def by_open_key(self, key: str) -> Ticket | None:
        """Return the one active ticket that holds ``key``."""
        self.unit.flush()
        return tickets.by_open_key(self.unit.connection, key, lock=True)

    def state(self, key: str) -> PluginState | None:
        """Return the plugin's row ``key``, locked until the commit."""
        return plugin_state.read(self.unit.connection, self.plugin, key)

    def now(self) -> datetime:
        """Return the time of this transaction (UTC)."""
        return self.unit.at
