"""otrsd: a daemon that turns mail into tickets and loses none.

This module is the whole surface a plugin may use. It is lazy (PEP 562): importing
it costs nothing, so that ``otrsd pipe`` starts like the bare interpreter.
"""

from __future__ import annotations

from typing import Any

#: Public name → the module it lives in.
_HOMES = {
    "Address": "otrsd.model.mail",
    "Changes": "otrsd.model.changes",
    "Disposition": "otrsd.model.verdict",
    "Draft": "otrsd.model.changes",
    "Envelope": "otrsd.model.envelope",
    "Event": "otrsd.model.event",
    "HeaderField": "otrsd.model.mail",
    "Mail": "otrsd.model.mail",
    "Part": "otrsd.model.mail",
    "PluginState": "otrsd.model.changes",
    "Settings": "otrsd.config.settings",
    "StateType": "otrsd.model.ticket",
    "THIS_TICKET": "otrsd.model.changes",
    "Ticket": "otrsd.model.ticket",
    "Tickets": "otrsd.model.changes",
    "Verdict": "otrsd.model.verdict",
    "hookimpl": "otrsd.hookspecs",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one list, kept in one place
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'otrsd' has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - only when a plugin asks

    return getattr(importlib.import_module(home), name)
