"""The trash: restore a discarded mail, purge it, discard a held one.

Restoring makes the mail's journey again from the spool, with its old receive time
and without the plugin or rule that discarded it. The steps are ordered so that a
crash between any two leaves the mail in the trash, where restoring can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from otrsd.desk.tickets import Who
from otrsd.desk.unit import Desk, Unit
from otrsd.errors import NotFoundError
from otrsd.mime.parse import parse
from otrsd.spool import Arrival, Spool
from otrsd.store import content, ledger, locks, traces, trash
from otrsd.store.history import Change
from otrsd.store.trash import Discarded

#: Expired rows removed in one transaction.
_AT_ONCE = 50


def find(desk: Desk, trash_id: int) -> Discarded:
    """Return one mail of the trash."""
    with desk.database.read() as connection:
        found = trash.by_id(connection, trash_id)
    if found is None:
        raise NotFoundError(
            f"there is no mail {trash_id} in the trash. Try: otrsd trash list"
        )
    return found


def restore(desk: Desk, spool: Spool, trash_id: int, who: Who) -> Discarded:
    """Send a discarded mail on its journey again; return what it was."""
    entry = find(desk, trash_id)
    with desk.unit() as unit:
        chunks = list(content.pieces(unit.connection, entry.content_sha256))
        before = ledger.read(unit.connection, [entry.spool_id]).get(entry.spool_id)
        delivered = before is not None and before.outcome == ledger.ARTICLE
        if not delivered:
            ledger.forget(unit.connection, entry.spool_id)
            traces.forget(unit.connection, entry.spool_id)
    if not delivered:
        arrival = Arrival.of(entry.spool_id, entry.envelope, chunks)
        without = frozenset({entry.cause.removeprefix("plugin:")})
        spool.put([_leaving_out(arrival, without)])
    with desk.unit() as unit:
        trash.remove(unit.connection, trash_id)
        unit.record(_change("Restored", entry, who))
    return entry


def purge(desk: Desk, trash_id: int, who: Who) -> Discarded:
    """Remove a mail from the trash for good."""
    entry = find(desk, trash_id)
    with desk.unit() as unit:
        _lock(unit, [entry])
        trash.remove(unit.connection, entry.id)
        trash.sweep_content(unit.connection, entry.content_sha256)
        unit.record(_change("Purged", entry, who))
    return entry


def purge_expired(desk: Desk, now: datetime) -> int:
    """Remove mails whose time is over; return how many."""
    with desk.database.read() as connection:
        if not trash.expired(connection, now, 1):
            return 0
    with desk.unit() as unit:
        gone = trash.expired(unit.connection, now, _AT_ONCE)
        _lock(unit, gone)
        for entry in gone:
            trash.remove(unit.connection, entry.id)
            trash.sweep_content(unit.connection, entry.content_sha256)
        who = Who(actor="system", cause="trash")
        data = {"count": len(gone), "ids": [entry.id for entry in gone]}
        unit.record(Change(type="Purged", actor=who.actor, cause=who.cause, data=data))
    return len(gone)


def discard_held(
    desk: Desk, spool: Spool, spool_id: str, who: Who, keep_until: datetime
) -> None:
    """Move a mail from the spool into the trash, by a person's decision."""
    claimed = spool.discard(spool_id)
    mail = parse(claimed.content)
    with desk.unit() as unit:
        content.put(unit.connection, {claimed.sha256: claimed.content})
        if spool_id not in ledger.read(unit.connection, [spool_id]):
            entry = Discarded(
                id=0,
                spool_id=spool_id,
                content_sha256=claimed.sha256,
                envelope=claimed.envelope,
                from_text=mail.from_text,
                subject=mail.subject,
                cause=f"{who.cause}:{who.actor}",
                reason="discarded by a person",
                created_at=unit.at,
                expires_at=keep_until,
            )
            trash_id = trash.add(unit.connection, entry)
            unit.outcome(
                ledger.Entry(
                    spool_id=spool_id,
                    sha256=claimed.sha256,
                    outcome=ledger.TRASH,
                    trash_id=trash_id,
                )
            )
            unit.record(_change("Discarded", entry, who))
    spool.done([spool_id])


def _lock(unit: Unit, entries: Sequence[Discarded]) -> None:
    """Keep the postmaster from naming a content while it is swept."""
    names = [content.lock_name(entry.content_sha256) for entry in entries]
    locks.lock(unit.connection, names)


def _leaving_out(arrival: Arrival, without: frozenset[str]) -> Arrival:
    return Arrival(
        id=arrival.id,
        envelope=arrival.envelope,
        chunks=arrival.chunks,
        sha256=arrival.sha256,
        size=arrival.size,
        without=without,
    )


def _change(event: str, entry: Discarded, who: Who) -> Change:
    return Change(
        type=event,
        actor=who.actor,
        cause=who.cause,
        data={"spool_id": entry.spool_id, "reason": entry.reason},
    )
