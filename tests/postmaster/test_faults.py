from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from otrsd.control import Work
from otrsd.store import traces

GOOD = """
from otrsd import Verdict, hookimpl
@hookimpl
def screen_mail(mail, envelope):
    return Verdict.accept("clean")
"""
RAISES_IN_AMEND = """
from otrsd import hookimpl
@hookimpl
def amend_ticket(mail, envelope, draft):
    raise ValueError("no such customer")
"""
RAISES_IN_SCREEN = """
from otrsd import hookimpl
@hookimpl
def screen_mail(mail, envelope):
    raise OSError("scanner away")
"""
EXITS = """
from otrsd import hookimpl
@hookimpl
def find_ticket(mail, envelope, tickets):
    raise SystemExit(0)
"""
LIES = """
from otrsd import hookimpl
@hookimpl
def amend_ticket(mail, envelope, draft):
    return "close it"
"""


@pytest.mark.parametrize("plugin", [RAISES_IN_AMEND, EXITS, LIES])
def test_P6_a_failing_plugin_costs_only_its_opinion(office: Any, mail: Any):
    office.deliver(mail())
    assert office.ticket().tags == ("plugin-failed",)
    (health,) = office.spool.plugin_health()
    assert health.name == "probe"


@pytest.mark.parametrize("plugin", [RAISES_IN_AMEND])
def test_P6_the_trace_names_the_failing_plugin(office: Any, mail: Any):
    office.deliver(mail())
    with office.post.desk.database.read() as connection:
        stored = traces.read(connection, office.ids[0])
    assert stored is not None
    assert any("no such customer" in step[2] for step in stored[1])


@pytest.mark.parametrize("plugin", [RAISES_IN_SCREEN])
def test_P6_no_verdict_is_not_a_clean_verdict(office: Any, mail: Any):
    office.deliver(mail())
    assert not office.tickets()
    for _ in range(2):
        office.clock.advance(timedelta(seconds=30))
        office.run()
    assert office.held() == [
        "plugin probe gave no verdict: OSError: scanner away (probe.py:5) (try 3)"
    ]
    assert not office.tickets()


@pytest.mark.parametrize("plugin", [RAISES_IN_SCREEN])
def test_P6_a_person_may_release_what_no_scanner_judged(office: Any, mail: Any):
    office.deliver(mail())
    office.spool.release(office.ids[0])
    office.run()
    assert office.ticket().tags == ("plugin-failed",)


@pytest.mark.parametrize("plugin", [RAISES_IN_AMEND])
def test_P6_five_failures_in_a_row_switch_a_plugin_off(office: Any, mail: Any):
    for n in range(6):
        office.deliver(mail(message_id=f"<{n}@x>"))
    (health,) = office.spool.plugin_health()
    assert health.failures_in_a_row == 5
    assert len(office.tickets()) == 6
    assert all(t.tags == ("plugin-failed",) for t in office.tickets())


@pytest.mark.parametrize("plugin", [RAISES_IN_SCREEN])
def test_P6_while_a_scanner_is_switched_off_mail_waits(office: Any, mail: Any):
    for n in range(5):
        office.deliver(mail(message_id=f"<{n}@x>", subject=f"mail {n}"))
    office.deliver(mail(message_id="<6@x>", subject="mail 6"))
    waiting = [e for e in office.spool.entries() if e.state == "deferred"]
    assert len(waiting) == 6
    assert any("switched off" in e.reason for e in waiting)


@pytest.mark.parametrize("plugin", [GOOD])
def test_P6_a_worker_that_died_alone_in_a_screen_plugin_holds_the_mail(
    office: Any, mail: Any
):
    spool_id = office.put(mail())
    work = Work(stage="screen_mail", spool_id=spool_id, alone=True, plugin="probe")
    for _ in range(2):
        office.spool.claim("dead", 1, now=office.clock.now())
        office.spool.worker_died("dead", work)
    assert "probe" in office.held()[0]


@pytest.mark.parametrize("plugin", [RAISES_IN_AMEND])
def test_P6_third_try_is_made_without_the_plugin_in_hand(office: Any, mail: Any):
    spool_id = office.put(mail())
    work = Work(stage="amend_ticket", spool_id=spool_id, alone=True, plugin="probe")
    for _ in range(2):
        office.spool.claim("dead", 1, now=office.clock.now())
        office.spool.worker_died("dead", work)
    office.run()
    assert office.ticket().tags == ("plugin-failed",)


def test_P5_one_poison_among_49_good_mails(office: Any, mail: Any):
    mails = [mail(message_id=f"<{n}@x>", subject=f"mail {n}") for n in range(49)]
    mails.insert(20, mail(message_id="<p@x>", subject="poison"))
    ids = [office.put(each) for each in mails]
    with office.post.desk.database.write() as connection:
        # The insert of its trace will fail, inside the transaction of the batch.
        traces.add(connection, {ids[20]: []}, "")
    office.run()
    for _ in range(3):
        office.clock.advance(timedelta(seconds=30))
        office.run()
    assert len(office.tickets()) == 49
    assert len(office.held()) == 1


def test_P4_a_database_that_is_away_costs_no_try(
    office: Any, mail: Any, open_again: Callable[..., Any]
):
    office.put(mail())
    database = office.post.desk.database
    good, database.url = database.url, sa.make_url("sqlite:////nowhere/x/desk.db")
    database.close()
    office.worker.turn()
    (entry,) = office.spool.entries()
    assert (entry.state, entry.tries, entry.strikes) == ("incoming", 0, 0)
    database.close()
    database.url = good
    office.run()
    assert len(office.articles()) == 1


@pytest.mark.parametrize("n", [1, 10])
def test_P4_a_database_that_goes_away_while_redoing_ends_the_redoing(
    office: Any, mail: Any, n: int
):
    mails = [mail(message_id=f"<{i}@x>", subject=f"mail {i}") for i in range(20)]
    ids = [office.put(each) for each in mails]
    database = office.post.desk.database
    tried: list[str] = []
    look = office.worker.carry

    def away_after(batch: Any) -> None:
        # The database goes away when the n-th mail is redone.
        if len(batch) == 1:
            tried.append(batch[0].id)
            if len(tried) == n:
                database.close()
                database.url = sa.make_url("sqlite:////nowhere/x/desk.db")
        look(batch)

    office.worker.carry = away_after
    with database.write() as connection:
        traces.add(connection, {ids[0]: []}, "")
    good = database.url
    office.worker.turn()
    database.close()
    database.url = good
    assert tried == ids[:n]
    states = {(e.state, e.tries) for e in office.spool.entries()}
    assert states <= {("incoming", 0), ("deferred", 1)}
