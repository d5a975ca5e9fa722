from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from otrsd.clock import FakeClock
from otrsd.errors import ConflictError
from otrsd.spool import Spool, State

Put = Callable[..., str]
ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def claim(spool: Spool, clock: FakeClock) -> Callable[..., list[str]]:
    def claim_ids(worker: str = "w1", limit: int = 10, **more: int) -> list[str]:
        return [
            claimed.id
            for claimed in spool.claim(worker, limit, now=clock.now(), **more)
        ]

    return claim_ids


Claim = Callable[..., list[str]]


def test_the_oldest_mails_come_first(put: Put, claim: Claim):
    first, second, _third = put(), put(), put()
    assert claim(limit=2) == [first, second]


def test_nobody_gets_what_another_has(put: Put, claim: Claim):
    first, second = put(), put()
    assert claim("w1", 1) == [first]
    assert claim("w2") == [second]
    assert claim("w3") == []


def test_one_batch_may_hold_several_mails_of_a_sender(put: Put, claim: Claim):
    ids = [put(sender=ANN), put(sender=ANN)]
    assert claim() == ids


def test_a_sender_in_another_hand_is_skipped(put: Put, claim: Claim):
    problem, _recovery, other = put(sender=ANN), put(sender=ANN), put(sender=BOB)
    assert claim("w1", 1) == [problem]
    assert claim("w2") == [other]


def test_done_frees_the_sender(spool: Spool, put: Put, claim: Claim):
    problem, recovery = put(sender=ANN), put(sender=ANN)
    claim("w1", 1)
    spool.done([problem])
    assert claim("w2") == [recovery]


def test_done_removes_the_content(spool: Spool, put: Put, claim: Claim):
    claim_of = [put(b"x" * 1_000_000), put()]
    spool.done(claim())
    assert sum(spool.counts().values()) == 0
    spool.done(claim_of)
    with spool._file.read() as connection:
        assert connection.execute("SELECT count(*) FROM spool_content").fetchone() == (
            0,
        )


def test_a_batch_is_bounded_by_its_octets(put: Put, claim: Claim):
    ids = [put(b"x" * 600), put(b"x" * 600), put(b"x" * 600)]
    assert claim(max_octets=1300) == ids[:2]


def test_the_first_mail_comes_whatever_its_size(put: Put, claim: Claim):
    large = put(b"x" * 5000)
    assert claim(max_octets=1000) == [large]


def test_a_deferred_mail_comes_when_it_is_due(
    spool: Spool, put: Put, claim: Claim, clock: FakeClock
):
    spool_id = put()
    claim()
    spool.defer(spool_id, "greylisted", clock.now() + timedelta(minutes=5))
    assert claim() == []
    clock.advance(timedelta(minutes=5))
    assert claim() == [spool_id]


def test_deferred_and_held_mails_do_not_hold_their_sender_back(
    spool: Spool, put: Put, claim: Claim, clock: FakeClock
):
    ids = [put(sender=ANN) for _ in range(3)]
    claim()
    spool.defer(ids[0], "later", clock.now() + timedelta(minutes=5))
    spool.hold(ids[1], "strange")
    spool.give_back(ids[2:], alone=False)
    assert claim() == [ids[2]]


def test_a_defer_counts_a_try_only_where_the_mail_is_to_blame(
    spool: Spool, put: Put, claim: Claim, clock: FakeClock
):
    blamed, other = put(), put()
    claim()
    spool.defer(blamed, "its fault", clock.now())
    spool.defer(other, "database away", clock.now(), tried=False)
    assert (spool.entry(blamed).tries, spool.entry(other).tries) == (1, 0)


def test_a_clock_set_back_a_day_delays_no_mail_for_a_day(
    spool: Spool, put: Put, claim: Claim, clock: FakeClock
):
    spool_id = put()
    claim()
    spool.defer(spool_id, "later", clock.now() + timedelta(days=9))
    clock.advance(timedelta(days=-1))
    assert claim() == [spool_id]


def test_mails_given_back_alone_come_one_by_one_in_order(
    spool: Spool, put: Put, claim: Claim
):
    ids = [put(sender=ANN), put(), put(sender=ANN)]
    spool.give_back(claim(), alone=True)
    assert [claim("w1"), claim("w2"), claim("w3")] == [[ids[0]], [ids[1]], []]


def test_a_lone_mail_holds_back_the_later_ones_of_its_sender(
    spool: Spool, put: Put, claim: Claim
):
    first, lone = put(), put(sender=ANN)
    claim()
    spool.give_back([lone], alone=True)
    spool.give_back([first], alone=False)
    later, other = put(sender=ANN), put(sender=BOB)
    assert claim("w1") == [first, other]
    assert claim("w2") == [lone]
    spool.done([lone])
    assert claim("w3") == [later]


def test_leases_of_the_dead_go_back_at_start_without_a_strike(
    spool: Spool, put: Put, claim: Claim
):
    first, second = put(), put()
    claim("dead", 1), claim("alive", 1)
    assert spool.recover({"alive"}) == 1
    entry = spool.entry(first)
    assert (entry.state, entry.strikes, entry.alone) == (State.INCOMING, 0, False)
    assert spool.entry(second).state is State.ACTIVE


def test_release_passes_and_retry_does_not(
    spool: Spool, put: Put, claim: Claim, clock: FakeClock
):
    released, retried = put(), put()
    for spool_id in claim():
        spool.hold(spool_id, "strange")
    spool.release(released)
    spool.retry(retried)
    found = {c.id: c.released for c in spool.claim("w", 10, now=clock.now())}
    assert found == {released: True, retried: False}


def test_a_mail_in_hand_is_out_of_a_persons_reach(spool: Spool, put: Put, claim: Claim):
    spool_id = put()
    claim("postmaster-1")
    with pytest.raises(ConflictError, match="postmaster-1"):
        spool.release(spool_id)


def test_discard_keeps_the_mail_until_the_trash_has_it(
    spool: Spool, put: Put, claim: Claim
):
    spool_id = put(b"junk")
    assert spool.discard(spool_id).content == b"junk"
    assert claim() == []
    assert spool.entry(spool_id).state is State.HELD
    spool.done([spool_id])
    assert spool.entries() == ()


def test_the_oldest_mail_tells_its_age(
    spool: Spool, put: Put, claim: Claim, clock: FakeClock
):
    assert spool.oldest_seconds == 0
    put()
    clock.advance(timedelta(seconds=90))
    put()
    assert spool.oldest_seconds == 90
    spool.hold(claim()[0], "held mails wait for a person")
    assert spool.oldest_seconds == 0
    assert spool.oldest_by_state() == {State.ACTIVE: 0, State.HELD: 90}
