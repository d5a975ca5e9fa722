"""The read access a plugin is given for one call.

In: core's own :class:`~otrsd.model.changes.Tickets`. What a plugin asks for is checked
here, so that nonsense finds nothing instead of an error of the database; and an error
that does come from below is remembered: it is ours, even where the plugin has
swallowed it, and must end the transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from otrsd.model.changes import PluginState, Tickets
from otrsd.model.ticket import Ticket

Found = TypeVar("Found")

#: Ids are signed 64-bit columns.
_LARGEST_ID = 2**63 - 1


class Reading:
    """Implements ``Tickets``."""

    __slots__ = ("_tickets", "broken")

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        #: The error that came from below, if one did.
        self.broken: BaseException | None = None

    def by_id(self, ticket_id: int) -> Ticket | None:
        """Return the ticket with this internal id."""
        if type(ticket_id) is not int:
            raise TypeError(f"by_id wants an int, not {type(ticket_id).__name__}")
        if not 0 < ticket_id <= _LARGEST_ID:
            return None
        return self._ask(lambda: self._tickets.by_id(ticket_id))

    def by_number(self, number: str) -> Ticket | None:
        """Return the ticket with this ticket number."""
        if not _is_storable(number):
            return None
        return self._ask(lambda: self._tickets.by_number(number))

    def by_open_key(self, key: str) -> Ticket | None:
        """Return the one active ticket that holds ``key``."""
        if not _is_storable(key):
            return None
        return self._ask(lambda: self._tickets.by_open_key(key))

    def state(self, key: str) -> PluginState | None:
        """Return the calling plugin's row ``key``, locked until the commit."""
        if not _is_storable(key):
            return None
        return self._ask(lambda: self._tickets.state(key))

    def now(self) -> datetime:
        """Return the time of this transaction (UTC)."""
        return self._tickets.now()

    def _ask(self, question: Callable[[], Found]) -> Found:
        try:
            return question()
        except BaseException as error:
            self.broken = error
            raise


def _is_storable(text: str) -> bool:
    """Tell whether a database can hold ``text`` at all."""
    if not isinstance(text, str):
        raise TypeError(f"a key or number is text, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
