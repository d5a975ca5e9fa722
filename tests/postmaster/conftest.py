"""A desk with a worker, driven mail by mail."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog

from otrsd.clock import FakeClock
from otrsd.config.load import load as load_config
from otrsd.config.routes import Routes
from otrsd.desk.unit import Desk
from otrsd.hooks import Hooks, load_plugins
from otrsd.ids import RANDOM_OCTETS, new_id
from otrsd.language.rules import compile_rules
from otrsd.model.article import Article
from otrsd.model.envelope import Envelope
from otrsd.model.ticket import Ticket
from otrsd.postmaster.parts import Postmaster
from otrsd.postmaster.worker import Worker
from otrsd.spool import Arrival, Spool
from otrsd.store import articles, tickets
from otrsd.store.tables import ticket
from tests.controls import Quiet

SITE = """
queues:
  support: {address: support@example.com}
  billing: {address: billing@example.com}
  junk: {}
rules:
  spam subjects:
    when: {subject: SPAM}
    then: {discard: spam in the subject}
  suspicious:
    when: {subject: hold me}
    then: {hold: looks odd}
  invoices:
    when: {subject: /invoice (?P<number>RE-\\d+)/}
    then: {queue: billing, fields: {invoice: "{{ match.number }}"}, tag: money}
  late:
    when: {subject: invoice}
    then: {queue: junk, priority: high}
"""


@dataclass
class Office:
    """One site with one worker; mails go in, tickets come out."""

    worker: Worker
    spool: Spool
    post: Postmaster
    clock: FakeClock
    control: Quiet
    ids: list[str] = field(default_factory=list)

    def put(self, content: bytes | str, **envelope: object) -> str:
        """Spool a mail; return its id."""
        octets = content.encode() if isinstance(content, str) else content
        values = {
            "mail_from": "anna@customer.example",
            "rcpt_tos": ("support@example.com",),
            "channel": "smtp",
            "peer": "127.0.0.1",
            "received_at": self.clock.now(),
            **envelope,
        }
        spool_id = new_id(self.clock.now(), os.urandom(RANDOM_OCTETS))
        made = Envelope(**values)  # type: ignore[arg-type]
        self.spool.put([Arrival.of(spool_id, made, [octets])])
        self.ids.append(spool_id)
        return spool_id

    def run(self) -> None:
        """Carry everything that is due."""
        while self.worker.turn():
            pass

    def deliver(self, *contents: bytes | str, **envelope: object) -> None:
        """Spool mails and carry them in one batch."""
        for content in contents:
            self.put(content, **envelope)
        self.run()

    def tickets(self) -> list[Ticket]:
        with self.post.desk.database.read() as connection:
            statement = tickets.TICKETS.order_by(ticket.c.id)
            return tickets.read(connection, statement)

    def ticket(self) -> Ticket:
        """Return the one ticket there is."""
        (only,) = self.tickets()
        return only

    def articles(self, ticket: Ticket | None = None) -> list[Article]:
        with self.post.desk.database.read() as connection:
            return articles.of_ticket(connection, (ticket or self.ticket()).id)

    def held(self) -> list[str]:
        return [e.reason for e in self.spool.entries() if e.state == "held"]


def written(
    subject: str = "Printer on fire",
    sender: str = "Anna <anna@customer.example>",
    message_id: str = "<1@customer.example>",
    text: str = "It burns.",
    **more: str,
) -> str:
    fields = {
        "From": sender,
        "To": "support@example.com",
        "Subject": subject,
        "Message-ID": message_id,
        "Date": "Mon, 23 Nov 2026 10:00:00 +0000",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    head = "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v)
    return f"{head}\r\n{text}\r\n"


@pytest.fixture
def mail() -> Callable[..., str]:
    """Return what writes a mail from its fields."""
    return written


@pytest.fixture
def site() -> str:
    """The configuration; a test module may give another one."""
    return SITE


@pytest.fixture
def plugin() -> str:
    """Source of a plugin called ``probe``; empty: none."""
    return ""


@pytest.fixture
def office(
    desk: Desk, clock: FakeClock, tmp_path: Path, site: str, plugin: str
) -> Office:
    return open_office(desk, clock, tmp_path, site, plugin)


@pytest.fixture
def open_again(
    desk: Desk, clock: FakeClock, tmp_path: Path
) -> Callable[[str, str], Office]:
    return lambda site, plugin: open_office(desk, clock, tmp_path, site, plugin)


def open_office(
    desk: Desk, clock: FakeClock, folder: Path, site: str, plugin: str
) -> Office:
    (folder / "otrsd.yaml").write_text(site)
    (folder / "plugins").mkdir(exist_ok=True)
    if plugin:
        (folder / "plugins" / "probe.py").write_text(plugin)
    config = load_config(folder / "otrsd.yaml", {})
    loaded = load_plugins(config, shipped=None, packages=())
    assert not loaded.problems
    rules = compile_rules(config.rules, queues=config.queues)
    assert not rules.problems
    hooks = Hooks(loaded.plugins)
    post = Postmaster(
        desk=replace(desk, observers=hooks.plugins_with("on_event")),
        hooks=hooks,
        rules=rules,
        routes=Routes(config),
        queues=tuple(config.queues),
        ticket_hook=config.site.ticket_hook,
        one_ticket_per_queue=config.site.one_ticket_per_queue,
        snapshot=config.snapshot,
        files=config.files,
    )
    spool = Spool(folder / "spool.db", clock)
    control = Quiet(name="postmaster-1")
    log = structlog.get_logger()
    worker = Worker(post, spool, control, log)
    return Office(worker=worker, spool=spool, post=post, clock=clock, control=control)
