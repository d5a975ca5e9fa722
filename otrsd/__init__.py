"""otrsd: a daemon that turns mail into tickets and loses none.

This module is the whole surface a plugin may use. It is lazy (PEP 562): importing
it costs nothing, so that ``otrsd pipe`` starts like the bare interpreter.
"""

from __future__ import annotations

# Type checkers take this name for true (PEP 484); importing typing costs 3 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from otrsd.config.models import Duration, Names, QueueName
    from otrsd.config.settings import Settings
    from otrsd.hookspecs import hookimpl
    from otrsd.model.auth import Auth
    from otrsd.model.changes import (
        THIS_TICKET,
        Changes,
        Draft,
        PluginState,
        Tickets,
    )
    from otrsd.model.envelope import Envelope
    from otrsd.model.event import Event
    from otrsd.model.mail import Address, HeaderField, Mail, Part
    from otrsd.model.seal import Seal
    from otrsd.model.ticket import StateType, Ticket
    from otrsd.model.verdict import Disposition, Verdict
    from otrsd.trust import Match, Trust

#: Public name → the module it lives in.
_HOMES = {
    "Address": "otrsd.model.mail",
    "Auth": "otrsd.model.auth",
    "Changes": "otrsd.model.changes",
    "Disposition": "otrsd.model.verdict",
    "Draft": "otrsd.model.changes",
    "Duration": "otrsd.config.models",
    "Envelope": "otrsd.model.envelope",
    "Event": "otrsd.model.event",
    "HeaderField": "otrsd.model.mail",
    "Mail": "otrsd.model.mail",
    "Match": "otrsd.trust",
    "Names": "otrsd.config.models",
    "Part": "otrsd.model.mail",
    "PluginState": "otrsd.model.changes",
    "QueueName": "otrsd.config.models",
    "Seal": "otrsd.model.seal",
    "Settings": "otrsd.config.settings",
    "StateType": "otrsd.model.ticket",
    "THIS_TICKET": "otrsd.model.changes",
    "Ticket": "otrsd.model.ticket",
    "Tickets": "otrsd.model.changes",
    "Trust": "otrsd.trust",
    "Verdict": "otrsd.model.verdict",
    "hookimpl": "otrsd.hookspecs",
}

__all__ = [
    "THIS_TICKET",
    "Address",
    "Auth",
    "Changes",
    "Disposition",
    "Draft",
    "Duration",
    "Envelope",
    "Event",
    "HeaderField",
    "Mail",
    "Match",
    "Names",
    "Part",
    "PluginState",
    "QueueName",
    "Seal",
    "Settings",
    "StateType",
    "Ticket",
    "Tickets",
    "Trust",
    "Verdict",
    "hookimpl",
]
__version__ = "0.1.0"

# Hidden from type checkers, so that a misspelt name is an error there.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'otrsd' has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - only when a plugin asks

        # The next look-up finds it without coming here.
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value
