"""``--single``: the same supervisor over threads of its own process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otrsd.control import Work
from otrsd.daemon import status
from otrsd.daemon.reload import read
from otrsd.daemon.slots import Slots, left_in_hand

Start = Callable[..., Any]
MAIL = Work(stage="screen", spool_id="01ABC", alone=True, plugin="spam")


@pytest.fixture(autouse=True)
def single(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_SINGLE", "1")


def test_all_roles_are_one_process(start: Start, tmp_path: Path) -> None:
    daemon = start("receiver=in_a_loop", "postmaster-1=holds", "relay=waits")
    assert set(daemon.pids().values()) == {daemon.pid}
    assert not Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text()
    shown = status.read(tmp_path)
    assert shown
    assert [each.state for each in shown.processes] == ["ready"] * 3
    assert daemon.stop() == 0


@pytest.mark.slow
def test_single_stops_in_order_and_finishes_the_mail_in_hand(start: Start) -> None:
    daemon = start("receiver=waits", "postmaster-1=works", "relay=waits")
    assert daemon.stop() == 0
    assert daemon.events("child.ended") == [
        "child.ended receiver",
        "child.ended postmaster-1",
        "child.ended relay",
    ]
    worked = next(x for x in daemon.transcript if x["event"] == "toy.worked")
    assert worked["begun"] == worked["finished"] > 0
    assert worked["process"] == "postmaster-1"


def test_single_starts_a_role_that_failed_again(start: Start) -> None:
    daemon = start("receiver=waits", "relay=crashes", ready=False)
    assert daemon.until("role.failed")["cause"] == "RuntimeError: boom\x1b[31m"
    assert daemon.until("child.died")["restart_in"] == 0.0
    assert daemon.until("child.died")["restart_in"] == 0.5
    assert daemon.stop() == 0


@pytest.mark.slow
def test_single_step_that_overruns_starts_the_process_anew(start: Start) -> None:
    daemon = start("receiver=waits", "postmaster-1=hangs")
    anew = daemon.until("daemon.anew")
    assert (anew["plugin"], anew["spool_id"]) == ("spam", "01ABC")
    began = daemon.until("toy.began", process="postmaster-1")
    assert (began["before"], began["plugin"]) == ("01ABC", "spam")
    assert set(daemon.pids().values()) == {daemon.pid}
    daemon.until("daemon.ready")
    assert daemon.stop() == 0


def test_single_knows_what_a_dead_process_had_in_hand(start: Start) -> None:
    daemon = start("postmaster-1=sneaks_out", ready=False)
    assert daemon.end() == 0
    daemon = start("postmaster-1=sneaks_out")
    began = next(x for x in daemon.transcript if x["event"] == "toy.began")
    assert began["before"] == "01ABC"
    assert daemon.stop() == 0


def test_single_reload_replaces_every_role(start: Start, tmp_path: Path) -> None:
    daemon = start("receiver=waits", "postmaster-1=waits")
    daemon.send(signal.SIGHUP)
    daemon.until("config.reloaded")
    lines = daemon.events("child.started", "child.ended")[2:]
    assert lines[0] == "child.started receiver"
    ended = lines.index("child.ended postmaster-1")
    assert lines.index("child.started postmaster-1") > ended
    assert len(daemon.events("child.ended")) == 2
    assert read(tmp_path).ok is True
    assert daemon.stop() == 0


def test_single_new_ways_in_that_fail_leave_the_old_ones(
    start: Start, tmp_path: Path
) -> None:
    daemon = start("receiver=fails_later", "relay=waits")
    daemon.send(signal.SIGHUP)
    assert daemon.until("config.reload.failed")["cause"] == "the port is taken"
    shown = status.read(tmp_path)
    assert shown
    assert [each.state for each in shown.processes] == ["ready", "ready"]
    assert daemon.stop() == 0


@pytest.mark.slow
def test_single_deaf_role_is_left_at_the_limit(start: Start, tmp_path: Path) -> None:
    daemon = start("receiver=deaf", "relay=waits", stop_seconds=1.0)
    assert daemon.stop() == 0
    assert "toy.ended relay" in daemon.events("toy.ended")
    assert not list(tmp_path.glob("hands-*"))


def test_single_bad_configuration_ends_the_start(start: Start) -> None:
    daemon = start("receiver=misconfigured", ready=False)
    assert daemon.end() == 1
    causes = [x["cause"] for x in daemon.transcript if "not_prep" in x["event"]]
    assert causes == ["otrsd.yaml:3:1: no such key", "config/a.yaml:1:1: no"]


def test_slots_in_a_file_tell_who_had_what(tmp_path: Path) -> None:
    slots = Slots(3, tmp_path / "hands")
    for number, name in enumerate(("receiver", "postmaster-1")):
        slots[number].owner = name
    slots[1].note(MAIL, 1.0)
    assert left_in_hand(tmp_path / "hands") == {"postmaster-1": MAIL}
    slots.close()
    assert left_in_hand(tmp_path / "hands") == {}


@pytest.mark.parametrize("octets", [b"", b"x", b"\xd4" * 700, b"\xff" * 2048])
def test_damaged_file_of_slots_is_nothing_in_hand(
    tmp_path: Path, octets: bytes
) -> None:
    (tmp_path / "hands").write_bytes(octets)
    assert "postmaster-1" not in left_in_hand(tmp_path / "hands")
