"""Any order of put, claim, done, defer, death and restart: no loss, no double."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from otrsd.clock import FakeClock
from otrsd.control import Work
from otrsd.ids import new_id
from otrsd.model.envelope import Envelope
from otrsd.spool import Arrival, Claimed, Spool, State

WORKERS = st.sampled_from(["w1", "w2"])
SENDERS = st.lists(st.sampled_from(["ann", "bob"]), min_size=2, max_size=6)


def has_work(machine: Journeys) -> bool:
    return any(machine.in_hand.values())


class Journeys(RuleBasedStateMachine):
    """The model: what was put, what is done, and who has what in hand."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.spool = Spool(self.folder / "spool.db", self.clock)
        self.put: dict[str, tuple[str, bytes]] = {}
        self.done: set[str] = set()
        self.in_hand: dict[str, list[Claimed]] = {}
        #: Mails that kept their place: neither deferred nor held nor retried.
        self.in_place: set[str] = set()

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    @initialize(target=ids, senders=SENDERS)
    def begin(self, senders: list[str]) -> object:
        return self._put(senders)

    @rule(target=ids, senders=SENDERS)
    def arrive(self, senders: list[str]) -> object:
        return self._put(senders)

    def _put(self, senders: list[str]) -> object:
        arrivals = []
        for sender in senders:
            number = len(self.put)
            spool_id = new_id(self.clock.now(), number.to_bytes(10, "big"))
            content = f"mail {number}".encode()
            self.put[spool_id] = (sender, content)
            self.in_place.add(spool_id)
            envelope = Envelope(mail_from=sender, received_at=self.clock.now())
            arrivals.append(Arrival.of(spool_id, envelope, [content]))
        assert self.spool.put(arrivals) == ()
        return multiple(*(arrival.id for arrival in arrivals))

    @rule(worker=WORKERS, limit=st.integers(1, 5))
    def claim(self, worker: str, limit: int) -> None:
        if self.in_hand.get(worker):
            worker = "w3"
            self.give_back(worker, alone=False)
        got = list(self.spool.claim(worker, limit, now=self.clock.now()))
        others = {
            claimed.envelope.mail_from
            for hand in self.in_hand.values()
            for claimed in hand
        }
        numbers = list(self.put)
        for claimed in got:
            sender, content = self.put[claimed.id]
            assert claimed.content == content
            assert claimed.id not in self.done
            assert sender not in others
            assert len(got) == 1 or not claimed.alone
            before = numbers[: numbers.index(claimed.id)]
            waiting = [
                spool_id
                for spool_id in before
                if self.put[spool_id][0] == sender
                and spool_id in self.in_place
                and spool_id not in self.done
            ]
            earlier_in_batch = [other.id for other in got[: got.index(claimed)]]
            assert set(waiting) <= set(earlier_in_batch)
        self.in_hand[worker] = got

    @precondition(has_work)
    @rule(worker=WORKERS, count=st.integers(1, 5))
    def finish(self, worker: str, count: int) -> None:
        worker = self.busy(worker)
        hand = self.in_hand[worker]
        ids = [claimed.id for claimed in hand[:count]]
        self.spool.done(ids)
        self.done.update(ids)
        self.in_hand[worker] = hand[count:]

    @precondition(has_work)
    @rule(worker=WORKERS, hold=st.booleans())
    def put_off(self, worker: str, *, hold: bool) -> None:
        worker = self.busy(worker)
        hand = self.in_hand[worker]
        spool_id = hand.pop(0).id
        self.in_place.discard(spool_id)
        if hold:
            self.spool.hold(spool_id, "strange")
        else:
            later = self.clock.now() + timedelta(minutes=1)
            self.spool.defer(spool_id, "later", later)

    @precondition(has_work)
    @rule(worker=WORKERS, plugin=st.sampled_from(["", "spam"]))
    def die(self, worker: str, plugin: str) -> None:
        worker = self.busy(worker)
        hand = self.in_hand.pop(worker)
        alone = len(hand) == 1 and hand[0].alone
        work = Work(
            stage="amend",
            spool_id=hand[0].id if alone else "",
            alone=alone,
            plugin=plugin,
        )
        for spool_id in self.spool.worker_died(worker, work):
            assert hand[0].strikes == 2
            self.in_place.discard(spool_id)

    @precondition(has_work)
    @rule(worker=WORKERS, alone=st.booleans())
    def give_back(self, worker: str, *, alone: bool) -> None:
        hand = self.in_hand.pop(worker, [])
        self.spool.give_back([claimed.id for claimed in hand], alone=alone)

    @rule()
    def restart(self) -> None:
        self.in_hand.clear()
        self.spool.close()
        self.spool.recover()

    @rule(minutes=st.integers(1, 3))
    def wait(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    @rule(spool_id=ids)
    def retry(self, spool_id: str) -> None:
        if self.spool_state().get(spool_id) in {State.DEFERRED, State.HELD}:
            self.spool.retry(spool_id)

    def busy(self, worker: str) -> str:
        """Return ``worker``, or one that has something in hand."""
        busy = [name for name, hand in self.in_hand.items() if hand]
        return worker if worker in busy else busy[0]

    def spool_state(self) -> dict[str, State]:
        return {entry.id: entry.state for entry in self.spool.entries()}

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert set(self.spool_state()) == set(self.put) - self.done

    @invariant()
    def what_is_active_is_in_a_hand(self) -> None:
        active = {i for i, state in self.spool_state().items() if state == State.ACTIVE}
        hands = [claimed.id for hand in self.in_hand.values() for claimed in hand]
        assert sorted(active) == sorted(hands)


@pytest.mark.slow
def test_any_journey():
    run_state_machine_as_test(
        Journeys,
        settings=settings(
            max_examples=50, stateful_step_count=35, deadline=None, derandomize=True
        ),
    )
