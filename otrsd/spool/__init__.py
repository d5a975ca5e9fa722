"""The inbound spool of one node: accepted mails that are not yet delivered.

In: :class:`Arrival` values, from every channel. Out: :class:`Claimed` batches, to
the postmaster's workers. ``put`` returns only after the mails are on the disk
(SQLite, WAL, ``synchronous=FULL``), so that a channel may say yes. Fails with
:class:`~otrsd.errors.SpoolFullError` where there is no room, and with
:class:`~otrsd.errors.TemporaryError` where the file can't be used for now.

``values`` what travels · ``file`` opening, the write door, the schema, errors ·
``arrivals`` putting in · ``claims`` leases, strikes · ``entries`` what a person
sees and does · ``health`` failing plugins · ``room`` floors · ``spool`` the door
to all of them.
"""

from __future__ import annotations

from otrsd.spool.spool import Spool
from otrsd.spool.values import Arrival, Claimed, Clash, Entry, PluginHealth, State

__all__ = [
    "Arrival",
    "Claimed",
    "Clash",
    "Entry",
    "PluginHealth",
    "Spool",
    "State",
]
