"""The mail lane: hands owed mail to the smarthost, at least once.

A turn leases the oldest mail that is due, submits it and settles it: accepted → the
row goes; refused for now → later, by ``PAUSES``, for five days; refused for good, or
too old → a note on its ticket, and the row waits for a person in the lane
``dead-mail``. Recipients of one mail are settled each for himself. Where the smarthost
itself is away, the lane rests and tries the next mail then; the others lose no try.

A crash between the smarthost's yes and ours sends a mail twice, with one Message-ID.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from otrsd.control import Control, Work
from otrsd.desk import tickets
from otrsd.desk.merging import followed
from otrsd.desk.outgoing import DEAD, MAIL, Parcel, count
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Desk, Unit
from otrsd.errors import NotFoundError
from otrsd.failpoint import failpoint
from otrsd.mime.visible import visible
from otrsd.model.changes import Changes
from otrsd.relay.submission import Refused, Submit, Submitted
from otrsd.relay.turns import take_turns
from otrsd.store import content, outbox
from otrsd.store.outbox import Owed

#: How long a mail is leased: longer than it may take.
LEASE = timedelta(minutes=15)
#: Seconds between two looks while the smarthost is away.
AWAY = 30.0
#: Seconds one mail may take before the supervisor ends this process.
LIMIT = 600.0
#: Pauses after the first, second … refusal; the last one for all further ones.
PAUSES = tuple(
    timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 20, 40, 80, 160, 360)
)
#: How long a mail is tried (RFC 5321 §4.5.4.1: four to five days).
GIVE_UP = timedelta(days=5)

_WHO = Who(actor="system", cause="relay")


@dataclass(slots=True, kw_only=True)
class MailLane:
    """One relay process for outgoing mail."""

    desk: Desk
    submit: Submit
    control: Control
    log: Any
    _away: bool = False

    def run(self) -> None:
        """Send until a stop is asked for."""
        take_turns(
            self.control,
            self.log,
            self.turn,
            away=lambda: AWAY if self._away else 0.0,
        )

    def turn(self) -> bool:
        """Send one mail; tell whether there was one that was due."""
        self._away = False
        now = self.desk.clock.now()
        with self.desk.database.read() as connection:
            if not outbox.is_any_due(connection, MAIL, now):
                return False
        with self.desk.database.write() as connection:
            leased = outbox.lease(connection, MAIL, now, LEASE, limit=1)
        failpoint("relay.leased")
        for owed in leased:
            self._pay(owed)
        return bool(leased)

    def _pay(self, owed: Owed) -> None:
        """Send one mail, or note why not."""
        parcel = Parcel.from_json(owed.payload)
        self.control.note(Work(stage="mail", limit=LIMIT))
        result = self._submitted(parcel)
        failpoint("relay.mail_sent")
        self._settle(owed, parcel, result)
        self.control.note(Work())
        self._away = result.is_away

    def _submitted(self, parcel: Parcel) -> Submitted:
        try:
            octets = self._octets(parcel)
        except NotFoundError as error:
            lost = Refused(code=599, text=str(error))
            return Submitted(refused=dict.fromkeys(parcel.rcpt_tos, lost))
        return self.submit(parcel.mail_from, parcel.rcpt_tos, octets)

    def _octets(self, parcel: Parcel) -> bytes:
        if not parcel.sha256:
            return parcel.octets.encode("ascii")
        with self.desk.database.read() as connection:
            return content.read(connection, parcel.sha256)

    def _settle(self, owed: Owed, parcel: Parcel, result: Submitted) -> None:
        """Write down what became of one mail, and say it in the log."""
        refused = result.refused
        now = self.desk.clock.now()
        first = datetime.fromisoformat(parcel.first_try) if parcel.first_try else now
        expired = now - first >= GIVE_UP
        dead = {a: r for a, r in refused.items() if r.is_permanent or expired}
        later = {a: r for a, r in refused.items() if a not in dead}
        open_parcel = replace(parcel, first_try=first.isoformat())
        with self.desk.unit() as unit:
            if dead:
                self._give_up(unit, parcel, dead)
            if later:
                self._put_off(unit, owed, _only(open_parcel, later), later)
                if dead:
                    _bury(unit, _only(open_parcel, dead), dead)
            elif dead:
                _move(unit, owed, DEAD, _only(open_parcel, dead), dead, unit.at)
            else:
                outbox.done(unit.connection, [owed.id])
            for name in _results(parcel, dead, later):
                count(unit, name)
        self._tell(owed, parcel, dead, later)

    def _put_off(
        self, unit: Unit, owed: Owed, parcel: Parcel, later: dict[str, Refused]
    ) -> None:
        pause = PAUSES[min(owed.attempts, len(PAUSES) - 1)]
        _move(unit, owed, MAIL, parcel, later, unit.at + pause)

    def _give_up(self, unit: Unit, parcel: Parcel, dead: dict[str, Refused]) -> None:
        """Say on the ticket who did not get the mail; a person's ticket opens."""
        ticket = unit.ticket(parcel.ticket_id) if parcel.ticket_id else None
        if ticket is None:
            return
        ticket = followed(unit, ticket)
        lines = [f"{address}: {visible(each.text)}" for address, each in dead.items()]
        text = (
            f"This mail was not delivered: {visible(parcel.subject)}\n"
            + "\n".join(lines)
            + "\nIt waits in: otrsd spool list --out"
        )
        opened = None if parcel.automatic or ticket.is_active else "open"
        tickets.change(unit, ticket, Changes(note=text, state=opened), _WHO)

    def _tell(
        self,
        owed: Owed,
        parcel: Parcel,
        dead: dict[str, Refused],
        later: dict[str, Refused],
    ) -> None:
        ids = {
            "outgoing": owed.id,
            "ticket_id": parcel.ticket_id,
            "article_id": parcel.article_id,
        }
        if "sent" in _results(parcel, dead, later):
            self.log.info("article.sent", message_id=parcel.message_id, **ids)
        look = "otrsd spool list --out"
        if later:
            self.log.warning("article.deferred", reason=_why(later), look=look, **ids)
        if dead:
            self.log.error("article.bounced", reason=_why(dead), look=look, **ids)


def _results(
    parcel: Parcel, dead: dict[str, Refused], later: dict[str, Refused]
) -> tuple[str, ...]:
    """Return what became of a mail, or of its parts."""
    found = {
        "sent": len(dead) + len(later) < len(parcel.rcpt_tos),
        "deferred": bool(later),
        "dead": bool(dead),
    }
    return tuple(name for name, is_so in found.items() if is_so)


def _only(parcel: Parcel, refused: dict[str, Refused]) -> Parcel:
    """Return the parcel for those who did not get it."""
    wanted = tuple(each for each in parcel.rcpt_tos if each in refused)
    return replace(parcel, rcpt_tos=wanted)


def _move(
    unit: Unit,
    owed: Owed,
    kind: str,
    parcel: Parcel,
    refused: dict[str, Refused],
    next_at: datetime,
) -> None:
    outbox.move(
        unit.connection,
        owed,
        kind=kind,
        payload=parcel.to_json(),
        next_at=next_at,
        attempts=owed.attempts + 1,
        reason=_why(refused),
    )


def _bury(unit: Unit, parcel: Parcel, dead: dict[str, Refused]) -> None:
    """Make a row of their own for those that are given up."""
    outbox.add_one(
        unit.connection,
        DEAD,
        target=parcel.rcpt_tos[0],
        payload=parcel.to_json(),
        at=unit.at,
        reason=_why(dead),
    )


def _why(refused: dict[str, Refused]) -> str:
    texts = dict.fromkeys(each.text for each in refused.values())
    return "; ".join(texts)
