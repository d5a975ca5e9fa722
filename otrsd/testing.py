"""pytest fixtures for the authors of plugins and rules; they come with the package.

``make_mail(**fields)`` gives the octets of a mail, ``otrsd_app`` a throw-away site in
``tmp_path`` on SQLite: real configuration, plugins, spool and desk, no daemon, and a
clock that stands still. A plugin of 15 lines has a test of five::

    def test_gold_customers_are_first(otrsd_app, make_mail):
        otrsd_app.plugin("gold", Path("plugins/gold.py"))
        outcome = otrsd_app.deliver(make_mail(From="ceo@gold.example"))
        assert otrsd_app.ticket(outcome.ticket_id).priority == 5

What a plugin does wrong is in ``outcome.failures``, plugin → text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.clock import FakeClock
    from otrsd.control import Work
    from otrsd.model.article import Article
    from otrsd.model.ticket import Ticket
    from otrsd.postmaster.parts import Outcome

#: A site that is good for most tests; ``configure`` replaces it.
SITE = """\
site: {name: Test, default_queue: support}
queues:
  support: {address: support@example.com}
  monitoring: {address: alerts@example.com}
"""
HEADERS = {
    "From": "Kim Customer <kim@customer.example>",
    "To": "support@example.com",
    "Subject": "A question",
    "Date": "Mon, 23 Nov 2026 10:00:00 +0000",
}


@pytest.fixture
def make_mail() -> Callable[..., bytes]:
    """Give :func:`mail_octets`."""
    return mail_octets


def mail_octets(body: str | bytes = "Hello\n", **fields: str | None) -> bytes:
    """Return a mail with these header fields over sensible ones.

    ``From="a@b.example"``, ``Message_ID="<1@b.example>"`` (an underscore is a dash);
    ``None`` leaves a field out. Non-ASCII text is written as it is, in UTF-8.
    """
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    headers = HEADERS | {name: value or "" for name, value in named.items()}
    absent = {name for name, value in named.items() if value is None}
    lines = [f"{name}: {v}" for name, v in headers.items() if name not in absent]
    octets = body.encode() if isinstance(body, str) else body
    return "\n".join([*lines, "", ""]).encode() + octets


@pytest.fixture
def otrsd_app(tmp_path: Path) -> Iterator[Site]:
    """Give a throw-away site."""
    site = Site(tmp_path / "site")
    yield site
    site.close()


class Site:
    """One site without a daemon: what it is given is carried at once."""

    def __init__(self, root: Path) -> None:
        from otrsd.clock import FakeClock

        self.root = root
        self.clock: FakeClock = FakeClock()
        self._app: App | None = None
        root.mkdir()
        self.configure(SITE)

    def configure(self, text: str) -> None:
        """Replace ``otrsd.yaml``; it counts from the next mail on."""
        self.close()
        (self.root / "otrsd.yaml").write_text(text, encoding="utf-8")

    def plugin(self, name: str, source: str | Path) -> None:
        """Put a plugin into the site: its text, or the path of its file."""
        self.close()
        folder = self.root / "plugins"
        folder.mkdir(exist_ok=True)
        text = source if isinstance(source, str) else source.read_text("utf-8")
        (folder / f"{name}.py").write_text(text, encoding="utf-8")

    @property
    def app(self) -> App:
        """Return the composed site; raises ConfigError with all problems."""
        if self._app is None:
            from otrsd.app import load
            from otrsd.store import schema

            environ = {"OTRSD_STATE": str(self.root / "var")}
            (self.root / "var").mkdir(mode=0o700, exist_ok=True)
            app = load(self.root / "otrsd.yaml", environ, self.clock)
            schema.upgrade(app.database)
            self._app = app
        return self._app

    def deliver(self, content: bytes, **envelope: Any) -> Outcome:
        """Carry one mail from the spool to the desk; return what became of it.

        ``envelope``: members of :class:`otrsd.Envelope`; it came by pipe unless
        ``channel`` says otherwise.
        """
        from otrsd.ids import RANDOM_OCTETS, new_id
        from otrsd.model.envelope import Envelope
        from otrsd.spool import Arrival

        now = self.clock.now()
        made = Envelope(**{"received_at": now, **envelope})
        spool_id = new_id(now, os.urandom(RANDOM_OCTETS))
        self.app.spool.put([Arrival.of(spool_id, made, [content])])
        return self._carried(spool_id)

    def _carried(self, spool_id: str) -> Outcome:
        """Let a worker carry everything that waits; tell what became of one mail."""
        from otrsd.postmaster.parts import Fate, Outcome
        from otrsd.postmaster.worker import Worker
        from otrsd.store import ledger

        log = _Log()
        worker = Worker(self.app.postmaster(), self.app.spool, _Alone(), log)
        while worker.turn():
            pass
        told = log.about(spool_id)
        with self.app.database.read() as connection:
            entry = ledger.read(connection, [spool_id]).get(spool_id)
        if entry is None:
            waiting = self.app.spool.entry(spool_id)
            fate, reason = Fate(waiting.state.value), waiting.reason
        else:
            fate, reason = Fate(entry.outcome), str(told.get("reason", ""))
        return Outcome(
            spool_id=spool_id,
            fate=fate,
            reason=reason,
            ticket_id=entry.ticket_id if entry else None,
            article_id=entry.article_id if entry else None,
            is_new=told.get("event") == "ticket.created",
            queue=str(told.get("queue", "")),
            failures=log.failures(spool_id),
        )

    def tickets(self) -> tuple[Ticket, ...]:
        """Return all tickets, oldest first."""
        from otrsd.store import tickets

        with self.app.database.read() as connection:
            return tuple(tickets.read(connection, tickets.TICKETS.order_by("id")))

    def ticket(self, ticket_id: int | None) -> Ticket:
        """Return one ticket by its id."""
        return next(ticket for ticket in self.tickets() if ticket.id == ticket_id)

    def articles(self, ticket_id: int) -> tuple[Article, ...]:
        """Return a ticket's articles, oldest first."""
        from otrsd.store import articles

        with self.app.database.read() as connection:
            return tuple(articles.of_ticket(connection, ticket_id))

    def pass_time(self, by: timedelta) -> None:
        """Move the clock; tell observers what was committed, let due timers fire."""
        from otrsd.relay.events import EventLane
        from otrsd.scheduler.timers import Scheduler

        self.clock.advance(by)
        app, control, log = self.app, _Alone(), _Log()
        scheduler = Scheduler(
            desk=app.desk(),
            hooks=app.hooks,
            default_queue=app.routes.default_queue,
            queues=tuple(app.config.queues),
            control=control,
            log=log,
            holder="test",
        )
        scheduler.turn()
        lane = EventLane(
            database=app.database,
            hooks=app.hooks,
            clock=self.clock,
            control=control,
            log=log,
        )
        while lane.turn():
            pass
        failures = log.failures(None)
        if failures:
            raise AssertionError(f"a plugin failed: {failures}")

    def search(self, words: str) -> tuple[Ticket, ...]:
        """Return what ``otrsd search`` would find now, newest first."""
        from otrsd.desk.search import find_tickets
        from otrsd.language.query import parse_query
        from otrsd.relay.index_lane import IndexLane
        from otrsd.store import index_todo

        app = self.app
        lane = IndexLane(app.database, app.index, self.clock)
        owed = True
        while owed:
            lane.turn()
            with app.database.read() as connection:
                owed = bool(index_todo.owed(connection, limit=1))
        tree = parse_query(words).tree
        found = find_tickets(app.database, app.index, tree, clock=self.clock)
        return tuple(found.tickets)

    def close(self) -> None:
        """Close what is open; the next use opens the site again."""
        if self._app is not None:
            self._app.close()
            self._app = None


class _Log:
    """Keeps what a worker says."""

    def __init__(self) -> None:
        self._lines: list[dict[str, object]] = []

    def _line(self, event: str, **fields: object) -> None:
        self._lines.append({"event": event, **fields})

    debug = info = warning = error = _line

    def about(self, spool_id: str) -> Mapping[str, object]:
        """Return the last line about a mail itself."""
        lines = [
            line
            for line in self._lines
            if line.get("mail_id") == spool_id and line["event"] != "plugin.failed"
        ]
        return lines[-1] if lines else {}

    def failures(self, spool_id: str | None) -> Mapping[str, str]:
        """Return what plugins did wrong with a mail, or with a timer (``None``)."""
        return {
            str(line["plugin"]): str(line["reason"])
            for line in self._lines
            if line["event"] == "plugin.failed" and line.get("mail_id") == spool_id
        }


class _Alone:
    """The control of a worker that nobody supervises."""

    name = "postmaster-test"

    def fileno(self) -> int:
        """Return no descriptor."""
        return -1

    def stopping(self) -> bool:
        """Go on."""
        return False

    def wait(self, seconds: float) -> bool:
        """Raise: what has to wait here would wait for ever."""
        raise TimeoutError(f"the worker wants to wait {seconds} s: is the site broken?")

    def ready(self) -> None:
        """Tell nobody."""

    def note(self, work: Work) -> None:
        """Tell nobody."""
