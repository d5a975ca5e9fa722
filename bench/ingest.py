"""What a mail costs from the wire to the index, and how quickly mail is accepted.

:func:`journey` sends mails by SMTP into a whole daemon on the repository's own
configuration, waits until every one can be searched for, and then searches for each
by a word that only this mail has. :func:`accepting` compares our receiver, the other
processes standing still, with servers that do less. :func:`writing` times an agent's
changes while mail pours in. Each takes a folder and returns keys of ``bench.figures``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles

import sqlalchemy as sa

from bench import mails
from bench.mails import Letter
from bench.processes import cpu_by_station
from bench.servers import nothing, postfix
from bench.site import Daemon, Wishes, composed, free_ports, make_site, pinned, running
from bench.smtp_load import Client
from bench.talk import say
from bench.waiting import CLOCK, NotInTimeError, pause, until
from otrsd.app import App
from otrsd.desk.search import find_tickets
from otrsd.language.query import parse_query
from otrsd.spool import State
from otrsd.store import index_todo, outbox, traces
from otrsd.store.tables import article

#: Pieces that the index may lie in when a measurement ends.
SEGMENTS = 30
SERVER_CORE, CLIENT_CORE = 0, 1
ROUNDS = 5
MAILS_A_ROUND = 1500
WRITES = 200


class NotFoundAgainError(Exception):
    """A mail was taken and is not found by its own word."""


def journey(folder: Path, count: int) -> dict[str, float | None]:
    """Measure the whole way of ``count`` mails."""
    sent = mails.letters(count, seed=2)
    mails.save(folder / "mails", sent)
    site = make_site(folder)
    with running(Daemon(site)) as daemon, composed(site) as app:
        until("the index is there", lambda: app.index.state().usable)
        client = Client(site.smtp, folder / "mails")
        roles = daemon.roles()
        before = cpu_by_station(daemon.pid, roles)
        client.go()
        figures = client.figures()
        if figures["sent"] != count or figures["refused"]:
            raise NotFoundAgainError(f"not every mail was taken: {figures}")
        until("everything is done", lambda: drained(app), seconds=300, every=0.1)
        seconds = CLOCK.monotonic() - figures["first"]
        after = cpu_by_station(daemon.pid, roles)
        if daemon.roles() != roles:
            raise NotInTimeError(f"a process died meanwhile:\n{daemon.tail()}")
        until("few segments", lambda: app.index.segments() <= SEGMENTS, seconds=60)
        find_all(app, sent)
        with app.database.read() as connection:
            trace = median(traces.octets(connection))
        used = {name: (after[name] - before[name]) * 1000 / count for name in after}
    told = ", ".join(f"{name} {value:.2f}" for name, value in used.items())
    taken = count / (figures["last"] - figures["first"])
    say(f"ms of CPU a mail: {told}; the client {figures['cpu'] * 1000 / count:.2f}")
    say(f"accepted while all of it ran: {taken:.0f}/s; asked again {figures['later']}")
    return {
        "cpu_ms_per_mail": sum(used.values()),
        "cpu_ms_per_mail_without_index": sum(used.values()) - used["index"],
        "searchable_per_s": count / seconds,
        "trace_bytes": float(trace),
    }


def drained(app: App) -> bool:
    """Tell whether no mail waits, nothing is owed, and the index lies in few pieces."""
    counts = app.spool.counts()
    if any(counts.get(each) for each in (State.INCOMING, State.ACTIVE, State.DEFERRED)):
        return False
    with app.database.read() as connection:
        if index_todo.newest(connection) or outbox.count(connection):
            return False
    return app.index.segments() <= SEGMENTS


def find_all(app: App, sent: Sequence[Letter]) -> None:
    """Search for every mail by its own word; it must find its ticket and no other."""
    columns = sa.select(article.c.message_id, article.c.ticket_id)
    with app.database.read() as connection:
        rows = connection.execute(columns).all()
    ticket_of = {row.message_id.strip("<>"): row.ticket_id for row in rows}
    tickets = len(set(ticket_of.values()))
    began = CLOCK.monotonic()
    for mail in sent:
        tree = parse_query(mail.word).tree
        found = find_tickets(app.database, app.index, tree, clock=CLOCK)
        ids = [each.id for each in found.tickets]
        wanted = ticket_of.get(mail.message_id.strip("<>"))
        if ids != [wanted]:
            raise NotFoundAgainError(
                f"{mail.word} of {mail.message_id} stands in ticket {wanted}, "
                f"the search finds {ids} ({found.index.reason or 'index in order'})"
            )
    each_took = (CLOCK.monotonic() - began) * 1000 / len(sent)
    answers = sum(mail.is_answer for mail in sent)
    say(
        f"{len(sent)} mails found again, {each_took:.1f} ms a search; {tickets} tickets"
    )
    if tickets != len(sent) - answers:
        raise NotFoundAgainError(
            f"{tickets} tickets of {len(sent)} mails with {answers} answers"
        )


def accepting(folder: Path) -> dict[str, float | None]:
    """Compare how quickly mail is accepted, server by server in turn."""
    mails.save(folder / "mails", mails.letters(MAILS_A_ROUND, seed=3))
    with ExitStack() as stack:
        port, other = free_ports(2)
        ports: dict[str, int | None] = {
            "null": stack.enter_context(nothing(port, core=SERVER_CORE)),
            "ours": stack.enter_context(_receiver_alone(folder / "site")),
            "postfix": stack.enter_context(
                postfix(folder / "postfix", other, core=SERVER_CORE)
            ),
        }
        rates: dict[str, list[float]] = {name: [] for name in ports}
        for number in range(ROUNDS + 1):
            for name, listener in ports.items():
                if listener is not None:
                    rate = _rate(listener, folder / "mails")
                    # The first round only warms up.
                    rates[name] += [rate] if number else []
    rate_of = {name: median(found) for name, found in rates.items() if found}
    told = ", ".join(f"{name} {rate:.0f}/s" for name, rate in rate_of.items())
    say(f"accepted, server on one core, median of {ROUNDS}: {told}")
    beside = rate_of.get("postfix")
    return {
        "accept_per_s": rate_of["ours"],
        "accept_ratio_to_null": rate_of["ours"] / rate_of["null"],
        "accept_ratio_to_postfix": rate_of["ours"] / beside if beside else None,
    }


def _rate(port: int, path: Path) -> float:
    client = Client(port, path, core=CLIENT_CORE)
    client.go()
    figures = client.figures()
    if figures["refused"] or figures["later"]:
        raise NotInTimeError(f"a server did not take every mail: {figures}")
    return float(figures["sent"] / (figures["last"] - figures["first"]))


@contextmanager
def _receiver_alone(folder: Path) -> Iterator[int]:
    """Run a daemon whose other processes stand still; give the receiver's port."""
    site = make_site(folder)
    daemon = Daemon(site)
    try:
        with pinned(SERVER_CORE):
            daemon.start()
        with composed(site) as app:
            until("the index is there", lambda: app.index.state().usable)
        # Nobody is in the middle of anything: there is no mail yet.
        pause(1.0)
        for name, pid in daemon.roles().items():
            if name != "receiver":
                os.kill(pid, signal.SIGSTOP)
        yield site.smtp
    finally:
        daemon.kill()


def writing(folder: Path) -> dict[str, float | None]:
    """Time an agent's changes while mail pours in."""
    site = make_site(folder, Wishes(workers=2))
    mails.save(folder / "first", mails.letters(100, seed=4))
    with running(Daemon(site)), composed(site) as app:
        _send(site.smtp, folder / "first")
        until("there are tickets", lambda: drained(app), seconds=60)
        took: list[float] = []
        number = 5
        while len(took) < WRITES:
            number += 1
            mails.save(folder / "load", mails.letters(1500, seed=number))
            took += _writes_under_load(site.config, site.smtp, folder / "load", app)
    worst = quantiles(took, n=100, method="inclusive")[98]
    typical, longest = median(took) * 1000, max(took) * 1000
    told = f"median {typical:.0f} ms, longest {longest:.0f} ms"
    say(f"an agent's {len(took)} changes under load: {told}")
    return {"write_p99_ms": worst * 1000}


def _writes_under_load(config: Path, port: int, load: Path, app: App) -> list[float]:
    agent = subprocess.Popen(
        [sys.executable, "-m", "bench.agent", str(config), "50"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _send(port, load)
        # The load ends when few mails wait, not when all of them are searchable.
        until("the load is carried", lambda: _few_wait(app), seconds=120, every=0.1)
        answer, _ = agent.communicate("stop\n", timeout=30)
    finally:
        agent.kill()
        agent.wait()
    # Its first changes came before the load.
    return [float(each) for each in answer.strip("[]\n").split(",")[5:]]


def _few_wait(app: App) -> bool:
    return app.spool.counts().get(State.INCOMING, 0) < 20


def _send(port: int, path: Path) -> None:
    client = Client(port, path)
    client.go()
    client.figures()
