"""A site that writes: mails go in, what is owed and what was answered comes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from otrsd.desk import replies
from otrsd.desk.outgoing import Parcel
from otrsd.desk.replies import Answer
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Unit
from otrsd.ids import new_id
from otrsd.model.article import Article
from otrsd.model.envelope import Envelope
from otrsd.model.ticket import Ticket
from otrsd.postmaster.deliver import deliver as carry, store_contents
from otrsd.postmaster.parts import Outcome, Standing
from otrsd.postmaster.screen import screen, with_original
from otrsd.spool import Arrival
from otrsd.store import content, history, outbox
from otrsd.testing import Site, mail_octets

SITE = """\
site: {{name: Example Support{site}}}
queues:
  support: {{address: support@example.com, auto_response: received{queue}}}
  silent: {{address: silent@example.com}}
{more}
"""
AGENT = Who(actor="joe", cause="cli")


def configure(site: Site, *, options: str = "", queue: str = "", more: str = ""):
    site.configure(SITE.format(site=options, queue=queue, more=more))


def deliver(site: Site, n: int = 1, **fields: Any) -> Outcome:
    fields.setdefault("Message_ID", f"<{n}@customer.example>")
    envelope = {"channel": "lmtp", "mail_from": "kim@customer.example"}
    rcpt = fields.pop("rcpt", None) or "support@example.com"
    body = fields.pop("body", None) or "Hello\n"
    octets = mail_octets(body, **fields)
    return site.deliver(octets, rcpt_tos=(rcpt,), **envelope)


def judged(site: Site, standing: Standing, n: int = 1, **fields: Any) -> Outcome:
    """Carry a mail of whose From so much is proved; return what became of it."""
    fields.setdefault("Message_ID", f"<{n}@customer.example>")
    body = fields.pop("body", "Hello\n")
    app, now = site.app, site.clock.now()
    envelope = Envelope(
        received_at=now,
        channel="lmtp",
        mail_from="kim@customer.example",
        rcpt_tos=("support@example.com",),
    )
    spool_id = new_id(now, bytes([n]) * 10)
    app.spool.put([Arrival.of(spool_id, envelope, [mail_octets(body, **fields)])])
    (claimed,) = app.spool.claim("test", 1, now=now)
    post = app.postmaster()
    mail = with_original(post, replace(screen(post, claimed), standing=standing))
    store_contents(post, [mail])
    ((outcome,), _) = carry(post, [mail])
    app.spool.done([spool_id])
    return outcome


def owed(site: Site) -> list[Parcel]:
    with site.app.database.read() as connection:
        rows = outbox.look(connection, ["mail"])
    return [Parcel.from_json(row.payload) for row in rows]


def suppressed(site: Site, outcome: Outcome) -> str:
    with site.app.database.read() as connection:
        rows = history.of_ticket(connection, outcome.ticket_id or 0)
    found = [row for row in rows if row.type == "LoopProtection"]
    return str(found[0].data["reason"]) if found else ""


@contextmanager
def changing(site: Site, outcome: Outcome) -> Iterator[tuple[Unit, Ticket]]:
    with site.app.desk().unit() as unit:
        ticket = unit.ticket(outcome.ticket_id or 0)
        assert ticket is not None
        yield unit, ticket


def answered(site: Site, outcome: Outcome) -> Article:
    """Let an agent answer; return what he wrote."""
    with changing(site, outcome) as (unit, ticket):
        answer = Answer(text="Try again.")
        replies.reply(unit, site.app.letterhead(), ticket, answer, AGENT)
    return site.articles(outcome.ticket_id or 0)[-1]


def taken(site: Site) -> list[tuple[Parcel, bytes]]:
    """Take what is owed out of the outbox, with the octets."""
    with site.app.database.write() as connection:
        rows = outbox.look(connection, ["mail"])
        outbox.done(connection, [row.id for row in rows])
        parcels = [Parcel.from_json(row.payload) for row in rows]
        return [(each, content.read(connection, each.sha256)) for each in parcels]
