from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from otrsd.clock import FakeClock
from otrsd.control import Work
from otrsd.spool import Entry, Spool, State

Put = Callable[..., str]
Die = Callable[..., Entry]


@pytest.fixture
def die(spool: Spool, clock: FakeClock) -> Die:
    """Let a worker die with the oldest mail alone in hand."""

    def die_once(spool_id: str, *, stage: str = "amend", plugin: str = "") -> Entry:
        spool.claim("w", 50, now=clock.now())
        work = Work(stage=stage, spool_id=spool_id, alone=True, plugin=plugin)
        spool.worker_died("w", work)
        return spool.entry(spool_id)

    return die_once


def test_a_batch_that_kills_its_worker_goes_back_alone_without_a_strike(
    spool: Spool, put: Put, clock: FakeClock
):
    ids = [put(), put()]
    spool.claim("w", 50, now=clock.now())
    assert spool.worker_died("w", Work(stage="write", spool_id=ids[0])) == ()
    entries = spool.entries(State.INCOMING)
    assert [(e.strikes, e.alone) for e in entries] == [(0, True), (0, True)]


def test_another_workers_mails_are_not_touched(
    spool: Spool, put: Put, clock: FakeClock
):
    put(), put()
    spool.claim("w1", 1, now=clock.now())
    spool.claim("w2", 1, now=clock.now())
    spool.worker_died("w2", Work())
    assert spool.counts()[State.ACTIVE] == 1


def test_three_deaths_alone_hold_the_mail(put: Put, die: Die):
    spool_id = put()
    states = [die(spool_id).state for _ in range(3)]
    assert states == [State.INCOMING, State.INCOMING, State.HELD]


def test_the_reason_names_stage_and_culprit(put: Put, die: Die):
    spool_id = put()
    *_, entry = [die(spool_id, stage="parse") for _ in range(3)]
    assert "3 times" in entry.reason
    assert "parse" in entry.reason
    assert "otrsd itself" in entry.reason


def test_the_third_try_goes_without_the_plugin_in_hand(put: Put, die: Die):
    spool_id = put()
    assert die(spool_id, plugin="monitoring").without == frozenset()
    entry = die(spool_id, plugin="monitoring")
    assert (entry.state, entry.without) == (
        State.INCOMING,
        frozenset({"monitoring"}),
    )


def test_a_screening_plugin_is_not_left_out_but_holds_the_mail(put: Put, die: Die):
    spool_id = put()
    die(spool_id, stage="screen_mail", plugin="virus")
    entry = die(spool_id, stage="screen_mail", plugin="virus")
    assert entry.state is State.HELD
    assert "virus" in entry.reason


def test_a_retry_starts_without_strikes_but_alone(spool: Spool, put: Put, die: Die):
    spool_id = put()
    for _ in range(3):
        die(spool_id)
    spool.retry(spool_id)
    entry = spool.entry(spool_id)
    assert (entry.state, entry.strikes, entry.alone) == (State.INCOMING, 0, True)


def test_a_mail_that_is_done_meanwhile_gets_no_strike(
    spool: Spool, put: Put, clock: FakeClock
):
    spool_id = put()
    spool.claim("w", 50, now=clock.now())
    spool.done([spool_id])
    work = Work(stage="done", spool_id=spool_id, alone=True)
    assert spool.worker_died("w", work) == ()
    assert spool.entries() == ()


def test_five_failures_in_a_row_switch_a_plugin_off_for_five_minutes(
    spool: Spool, clock: FakeClock
):
    switched = [spool.plugin_failed("spam", "boom") for _ in range(5)]
    assert switched == [False] * 4 + [True]
    (health,) = spool.plugin_health()
    assert health.off_until == clock.now() + timedelta(minutes=5)
    clock.advance(timedelta(minutes=5))
    assert spool.plugin_health()[0].off_until is None
    assert spool.plugin_failed("spam", "boom again") is True


def test_an_answer_ends_the_row_of_failures(spool: Spool):
    for _ in range(4):
        spool.plugin_failed("spam", "boom")
    spool.plugin_recovered("spam")
    assert spool.plugin_health() == ()
    assert spool.plugin_failed("spam", "boom") is False


def test_a_death_alone_in_a_plugin_is_a_failure_of_it(spool: Spool, put: Put, die: Die):
    die(put(), plugin="monitoring")
    (health,) = spool.plugin_health()
    assert (health.name, health.failures_in_a_row) == ("monitoring", 1)
