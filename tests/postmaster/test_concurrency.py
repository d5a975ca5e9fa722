"""Two workers on one database, and a database that is in the way."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from otrsd.desk import trash
from otrsd.desk.tickets import Who
from otrsd.ids import RANDOM_OCTETS, new_id
from otrsd.model.envelope import Envelope
from otrsd.postmaster.deliver import deliver, store_contents
from otrsd.postmaster.screen import screen
from otrsd.postmaster.worker import Worker
from otrsd.spool import Arrival, Spool
from otrsd.store import content, history, traces
from otrsd.store.engine import Database

ALERTS = """
from otrsd import Changes, hookimpl
@hookimpl
def ticket_keys(mail, envelope):
    return [mail.subject]
@hookimpl
def find_ticket(mail, tickets):
    found = tickets.by_open_key(mail.subject)
    return found.id if found else None
@hookimpl
def amend_ticket(mail, draft):
    return Changes(open_key=None if draft.ticket else mail.subject)
"""
WHO = Who(actor="root", cause="cli")
#: What only PostgreSQL shows in this form.
ON_POSTGRESQL = pytest.mark.parametrize(
    "database",
    [pytest.param("postgresql", marks=[pytest.mark.postgresql, pytest.mark.slow])],
    indirect=True,
)


@pytest.mark.parametrize("plugin", [ALERTS])
def test_the_same_100_alerts_by_two_workers_make_one_ticket_each_key(
    office: Any, mail: Any, tmp_path: Any
):
    spools = [office.spool, Spool(tmp_path / "second.db", office.clock)]
    for number, spool in enumerate(spools):
        order = range(100) if number == 0 else reversed(range(100))
        for n in order:
            alert = mail(f"alert {n % 50}", message_id="", text=str(n % 50))
            sender = f"nagios@h{n}.example"
            envelope = Envelope(mail_from=sender, received_at=office.clock.now())
            spool_id = new_id(office.clock.now(), os.urandom(RANDOM_OCTETS))
            spool.put([Arrival.of(spool_id, envelope, [alert.encode()])])
    url = office.post.desk.database.url.render_as_string(hide_password=False)
    databases = [Database(url), Database(url)]

    def work(n: int) -> None:
        post = replace(
            office.post, desk=replace(office.post.desk, database=databases[n])
        )
        worker = Worker(post, spools[n], replace(office.control), office.worker._log)
        while worker.turn():
            pass

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = [(e.state, e.tries) for spool in spools for e in spool.entries()]
    for database in databases:
        database.close()
    spools[1].close()
    assert left == []
    assert sorted(t.title for t in office.tickets()) == sorted(
        f"alert {n}" for n in range(50)
    )
    assert len({t.number for t in office.tickets()}) == 50
    with office.post.desk.database.read() as connection:
        assert history.verify(connection, b"k" * 32) is None


@ON_POSTGRESQL
def test_a_lock_that_others_hold_costs_no_try(office: Any, mail: Any):
    database = office.post.desk.database
    other = Database(database.url.render_as_string(hide_password=False))

    @sa.event.listens_for(database.engine, "begin")
    def _impatient(connection: sa.Connection) -> None:
        connection.execute(sa.text("SET LOCAL lock_timeout = '99ms'"))

    office.put(mail())
    with other.write() as connection:
        connection.execute(sa.text("LOCK TABLE ticket"))
        office.worker.turn()
    (entry,) = office.spool.entries()
    other.close()
    assert (entry.state, entry.tries) == ("deferred", 0)


def test_a_content_that_was_swept_meanwhile_is_stored_again(office: Any, mail: Any):
    office.deliver(mail("SPAM"))
    office.put(mail("SPAM"))
    claimed = office.spool.claim("postmaster-1", 1, now=office.clock.now())
    mails = [screen(office.post, each) for each in claimed]
    store_contents(office.post, mails)
    trash.purge(office.post.desk, 1, WHO)
    deliver(office.post, mails)
    with office.post.desk.database.read() as connection:
        assert content.read(connection, claimed[0].sha256) == claimed[0].content


def test_a_content_of_which_some_pieces_are_there_is_completed(office: Any):
    octets = os.urandom(content.PIECE * 2 + 5)
    sha256 = hashlib.sha256(octets).hexdigest()
    rows = list(content.packed(sha256, octets))
    with office.post.desk.database.write() as connection:
        content.add(connection, rows[:2])
        assert content.absent(connection, [sha256])
        content.put(connection, {sha256: octets})
        assert content.read(connection, sha256) == octets


DISCARDS = """
from otrsd import Verdict, hookimpl
@hookimpl
def screen_mail(mail, envelope):
    return Verdict.discard("spam")
"""


@pytest.mark.parametrize("plugin", [DISCARDS])
def test_a_restored_mail_is_not_tagged_as_if_a_plugin_had_failed(
    office: Any, mail: Any
):
    office.deliver(mail())
    trash.restore(office.post.desk, office.spool, 1, WHO)
    office.run()
    assert office.ticket().tags == ()


def test_a_payload_that_was_deleted_shows_in_the_chain(office: Any, mail: Any):
    office.deliver(mail())
    with office.post.desk.database.write() as connection:
        connection.execute(sa.text("DELETE FROM history_payload WHERE seq = 1"))
        assert history.verify(connection, b"k" * 32) == 1


def test_P2_a_connection_lost_inside_commit_doubles_nothing(office: Any, mail: Any):
    database = office.post.desk.database
    lost: list[str] = []

    @sa.event.listens_for(database.engine, "commit")
    def _lose(connection: sa.Connection) -> None:
        there = connection.execute(sa.text("SELECT count(*) FROM ledger")).scalar()
        if there and not lost:
            lost.append("the server has committed, but its answer never came")
            raw: Any = connection.connection.dbapi_connection
            raw.commit()
            raw.close()

    office.deliver(mail(), mail("Second", message_id="<2@c>"))
    assert lost
    assert [t.title for t in office.tickets()] == ["Printer on fire", "Second"]
    assert not office.spool.entries()


def test_C10_numbers_are_gapless_over_a_failure_and_a_new_day(office: Any, mail: Any):
    ids = [office.put(mail(f"mail {n}", message_id=f"<{n}@x>")) for n in range(4)]
    with office.post.desk.database.write() as connection:
        traces.add(connection, {ids[1]: []}, "")
    office.run()
    office.clock.advance(timedelta(days=1))
    office.deliver(mail("next day", message_id="<n@x>"))
    counts = [t.number[8:-1] for t in sorted(office.tickets(), key=lambda t: t.number)]
    assert counts == ["1000001", "1000002", "1000003", "1000001"]


def test_C1_mails_of_one_batch_that_belong_together_land_together(
    office: Any, mail: Any
):
    answer = mail("Re: it", message_id="<2@c>", In_Reply_To="<1@customer.example>")
    office.deliver(mail(Cc="bob@b.example"), answer)
    office.deliver(
        mail(
            "Me too",
            sender="bob@b.example",
            message_id="<3@b>",
            References="<2@c>",
        )
    )
    assert len(office.articles(office.ticket())) == 3
