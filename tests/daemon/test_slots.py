from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from otrsd.control import Work
from otrsd.daemon.slots import InHand, Slots


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots(2)
    yield made
    made.close()


def held(slots: Slots, index: int = 0) -> InHand:
    found = slots[index].read()
    assert found
    return found


def test_what_was_noted_is_read(slots: Slots) -> None:
    work = Work(stage="screen", spool_id="01ABC", alone=True, plugin="spam", limit=30)
    slots[1].note(work, 12.5)
    assert (held(slots, 1).work, held(slots, 1).since) == (work, 12.5)
    assert slots[0].read() is None


def test_nothing_is_in_hand_without_a_stage(slots: Slots) -> None:
    slots[0].note(Work(stage="find"), 1.0)
    slots[0].note(Work(), 2.0)
    assert slots[0].read() is None


def test_text_without_room_is_cut_between_characters(slots: Slots) -> None:
    slots[0].note(Work(stage="find", plugin="ü" * 100), 0.0)
    assert held(slots).work.plugin == "ü" * 60


def test_new_child_finds_a_clean_slot(slots: Slots) -> None:
    slots[0].note(Work(stage="find"), 0.0)
    slots[0].mark_ready()
    slots[0].mark_asked()
    slots[0].clear()
    assert (slots[0].read(), slots[0].ready, slots[0].asked) == (None, False, False)


def test_step_overruns_only_with_a_limit(slots: Slots) -> None:
    slots[0].note(Work(stage="find", limit=2.0), 10.0)
    assert not held(slots).overran(12.0)
    assert held(slots).overran(12.1)
    slots[0].note(Work(stage="find"), 10.0)
    assert not held(slots).overran(1e9)


def test_reader_never_sees_half_a_note_and_a_killed_writer_leaves_a_whole_one(
    slots: Slots,
) -> None:
    slot = slots[0]
    heard, said = os.pipe()
    writer = os.fork()
    if not writer:
        number = 0
        while True:
            number += 1
            slot.note(Work(stage=f"s{number}", plugin=f"s{number}" * 5), number)
            if number == 1:
                os.write(said, b"1")
    assert os.read(heard, 1) == b"1"
    seen = [slot.read() for _ in range(20_000)]
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    os.close(heard)
    os.close(said)
    whole = [found for found in [*seen, slot.read()] if found]
    assert len({found.since for found in whole}) > 1
    assert all(found.work.plugin == found.work.stage * 5 for found in whole)
    assert all(found.work.stage == f"s{found.since:.0f}" for found in whole)
    assert slot.read() is not None
