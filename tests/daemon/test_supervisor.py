from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otrsd.daemon import status
from otrsd.daemon.reload import read

#: Left out by the quick round: servers, processes and waits.
pytestmark = pytest.mark.slow

Start = Callable[..., Any]
Gone = Callable[[int], bool]

HEAVY = ("structlog", "pydantic", "sqlalchemy", "asyncio", "ctypes", "click", "whoosh")


def test_sigterm_under_work_finishes_the_mail_in_hand(start: Start) -> None:
    daemon = start("receiver=waits", "postmaster-1=works")
    assert daemon.stop() == 0
    worked = next(x for x in daemon.transcript if x["event"] == "toy.worked")
    assert worked["begun"] == worked["finished"] > 0


def test_ways_in_stop_first_then_postmasters_then_the_rest(start: Start) -> None:
    daemon = start(
        *("receiver=waits", "postmaster-1=waits", "postmaster-2=waits"),
        *("relay=waits", "index=waits", "scheduler=waits"),
    )
    assert daemon.stop() == 0
    ends = daemon.events("child.ended")
    assert ends[0] == "child.ended receiver"
    assert sorted(ends[1:3]) == ["child.ended postmaster-1", "child.ended postmaster-2"]
    asked = daemon.events("child.stopping", "child.ended")
    assert asked.index("child.stopping postmaster-1") > asked.index(ends[0])
    assert asked.index("child.stopping relay") > asked.index(ends[2])


def test_killed_child_hands_its_mail_to_its_successor(start: Start) -> None:
    daemon = start("receiver=waits", "postmaster-1=holds")
    os.kill(daemon.pids()["postmaster-1"], signal.SIGKILL)
    died = daemon.until("child.died")
    assert (died["name"], died["cause"]) == ("postmaster-1", "signal 9 (SIGKILL)")
    assert (died["spool_id"], died["stage"], died["alone"]) == ("01ABC", "screen", True)
    began = daemon.until("toy.began", process="postmaster-1")
    assert (began["before"], began["plugin"]) == ("01ABC", "spam")
    assert daemon.stop() == 0


def test_step_that_overruns_is_ended(start: Start) -> None:
    daemon = start("postmaster-1=hangs")
    assert daemon.until("child.died")["cause"] == "overran 0.3 s in screen"
    assert daemon.until("toy.began")["before"] == "01ABC"


def test_exit_code_0_with_a_mail_in_hand_is_a_death(start: Start) -> None:
    # It may be dead before all are ready.
    daemon = start("postmaster-1=sneaks_out", ready=False)
    assert daemon.until("child.died")["cause"] == "exit code 0"
    assert daemon.until("toy.began")["before"] == "01ABC"


def test_predecessor_is_handed_on_until_somebody_did_the_bookkeeping(
    start: Start,
) -> None:
    daemon = start("postmaster-1=dies_twice")
    assert daemon.events("child.died") == ["child.died postmaster-1"] * 2
    began = [x for x in daemon.transcript if x["event"] == "toy.began"]
    assert [x["before"] for x in began] == ["01ABC"]


def test_sigterm_to_a_child_alone_is_no_strike(start: Start) -> None:
    daemon = start("postmaster-1=holds")
    os.kill(daemon.pids()["postmaster-1"], signal.SIGTERM)
    assert daemon.until("toy.ended")
    daemon.until("child.started")
    assert daemon.stop() == 0
    assert not daemon.events("toy.began")


@pytest.mark.slow
def test_crash_loop_backs_off(start: Start) -> None:
    daemon = start("relay=crashes", ready=False)
    delays = [daemon.until("child.died")["restart_in"] for _ in range(4)]
    assert delays == [0.0, 0.5, 1.0, 2.0]
    assert daemon.stop() == 0


def test_exception_is_one_line_with_its_cause(start: Start) -> None:
    daemon = start("relay=crashes", ready=False)
    assert daemon.until("role.failed")["cause"] == "RuntimeError: boom\x1b[31m"
    assert daemon.until("child.died")["cause"] == "exit code 1"


def test_role_that_returns_unasked_is_started_again(start: Start) -> None:
    daemon = start("relay=returns")
    assert daemon.until("child.died")["cause"] == "exit code 70"
    assert daemon.until("child.started")


@pytest.mark.slow
def test_deaf_child_is_killed_at_the_limit(start: Start) -> None:
    daemon = start("receiver=deaf", "relay=waits", stop_seconds=1.0)
    assert daemon.stop() == 0
    assert daemon.events("child.killed") == ["child.killed receiver"]
    assert "toy.ended relay" in daemon.events("toy.ended")


def test_third_sigterm_kills_at_once(start: Start) -> None:
    daemon = start("receiver=deaf", "relay=waits", stop_seconds=600.0)
    daemon.send(signal.SIGTERM)
    daemon.until("child.stopping", name="receiver")
    daemon.send(signal.SIGINT)
    # The second one asks everybody, without waiting for the receiver.
    daemon.until("child.ended", name="relay")
    assert daemon.stop() == 0
    assert daemon.events("child.killed") == ["child.killed receiver"]


def test_hangup_replaces_every_child(start: Start) -> None:
    daemon = start("receiver=waits", "postmaster-1=works", "postmaster-2=waits")
    before = daemon.pids()
    daemon.send(signal.SIGHUP)
    daemon.until("config.reloaded")
    assert not set(daemon.pids().values()) & set(before.values())
    # The new ways in are open before the old ones close; no new postmaster starts
    # before the last old one has ended.
    lines = daemon.events("child.started", "child.ended")[3:]
    assert lines[0] == "child.started receiver"
    started = lines.index("child.started postmaster-1")
    for name in ("postmaster-1", "postmaster-2"):
        assert lines.index(f"child.ended {name}") < started
    assert daemon.stop() == 0
    assert not daemon.events("child.died")


@pytest.mark.slow
def test_stop_in_the_middle_of_a_reload(start: Start, gone: Gone) -> None:
    daemon = start("receiver=waits", "postmaster-1=deaf", stop_seconds=2)
    before = daemon.pids()["postmaster-1"]
    daemon.send(signal.SIGHUP)
    daemon.until("child.ended", name="receiver")
    assert daemon.stop() == 0
    assert gone(before)


def test_new_ways_in_that_fail_leave_the_old_ones(start: Start, tmp_path: Path) -> None:
    daemon = start("receiver=fails_later")
    before = daemon.pids()["receiver"]
    daemon.send(signal.SIGHUP)
    failed = daemon.until("config.reload.failed")
    assert failed["cause"] == "the port is taken"
    assert Path(f"/proc/{before}").exists()
    assert read(tmp_path).ok is False
    assert daemon.stop() == 0


@pytest.mark.parametrize("role", ["in_a_loop", "in_uvloop"])
def test_event_loop_hears_the_stop(start: Start, role: str) -> None:
    daemon = start(f"receiver={role}")
    os.kill(daemon.pids()["receiver"], signal.SIGTERM)
    daemon.until("toy.ended")
    daemon.until("child.started")
    assert daemon.stop() == 0
    assert daemon.events("child.killed") == []


def test_killed_supervisor_leaves_no_orphan(start: Start, gone: Gone) -> None:
    daemon = start("receiver=waits", "relay=in_a_loop")
    pids = [*daemon.pids().values(), daemon.template()]
    daemon.send(signal.SIGKILL)
    assert all(gone(pid) for pid in pids)
    assert daemon.end() == -signal.SIGKILL
    assert "toy.ended receiver" in daemon.events("toy.ended")


@pytest.mark.slow
def test_deaf_orphan_of_a_killed_supervisor_is_killed_too(
    start: Start, gone: Gone
) -> None:
    daemon = start("receiver=deaf")
    daemon.send(signal.SIGKILL)
    assert gone(daemon.pids()["receiver"])


def test_killed_supervisor_and_template_leave_no_deaf_orphan(
    start: Start, gone: Gone
) -> None:
    daemon = start("receiver=deaf", "postmaster-1=hangs")
    pids = [*daemon.pids().values(), daemon.template()]
    for pid in (daemon.pid, daemon.template()):
        os.kill(pid, signal.SIGKILL)
    assert all(gone(pid) for pid in pids)


def test_killed_template_is_replaced_and_nobody_is_blamed(start: Start) -> None:
    daemon = start("postmaster-1=holds")
    os.kill(daemon.template(), signal.SIGKILL)
    assert daemon.until("template.died")["cause"] == "signal 9 (SIGKILL)"
    daemon.until("child.started")
    assert daemon.stop() == 0
    assert not daemon.events("toy.began")


def test_machine_without_room_for_the_template_is_tried_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_WITHOUT_ROOM", "1")
    daemon = start("receiver=waits")
    assert daemon.events("template.not_forked", "daemon.ready") == [
        "template.not_forked None",
        "daemon.ready None",
    ]
    assert daemon.stop() == 0


def test_template_that_takes_long_to_load_is_named_once(start: Start) -> None:
    daemon = start("receiver=slow_to_load")
    assert daemon.events("template.slow", "daemon.ready") == [
        "template.slow None",
        "daemon.ready None",
    ]


def test_template_that_ends_while_it_loads_says_where_to_look(start: Start) -> None:
    daemon = start("receiver=ends_the_import", ready=False)
    assert "plugin file" in daemon.until("template.died")["cause"]
    assert daemon.stop() == 0


@pytest.mark.slow
def test_second_daemon_is_refused(start: Start) -> None:
    first = start("receiver=waits")
    second = start("receiver=waits", ready=False)
    assert str(first.pid) in second.until("daemon.refused")["cause"]
    assert second.end() == 75
    assert first.stop() == 0


def test_lock_of_a_killed_daemon_is_taken_over(start: Start) -> None:
    start("receiver=waits").send(signal.SIGKILL)
    assert start("receiver=waits").stop() == 0


def test_status_shows_what_each_process_does(start: Start, tmp_path: Path) -> None:
    daemon = start("receiver=waits", "postmaster-1=holds")
    shown = status.read(tmp_path)
    assert shown
    assert (shown.pid, shown.state) == (daemon.pid, "ready")
    assert {each.name: each.pid for each in shown.processes} == daemon.pids()
    assert (shown.processes[1].spool_id, shown.processes[1].plugin) == ("01ABC", "spam")
    assert daemon.stop() == 0
    assert status.read(tmp_path) is None


def test_status_is_that_of_the_new_children_once_a_reload_has_ended(
    start: Start, tmp_path: Path
) -> None:
    daemon = start("receiver=waits", "relay=waits")
    daemon.send(signal.SIGHUP)
    while read(tmp_path).done < 1:
        pass
    shown = status.read(tmp_path)
    daemon.until("config.reloaded")
    assert shown
    assert {each.name: each.pid for each in shown.processes} == daemon.pids()
    assert {each.state for each in shown.processes} == {"ready"}
    assert daemon.stop() == 0


def test_systemd_hears_ready_watchdog_and_stopping(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(10)
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        daemon = start("receiver=waits")
        said = [systemd.recv(100)]
        while not said[-1].startswith(b"READY=1"):
            said.append(systemd.recv(100))
        while said[-1] != b"WATCHDOG=1":
            said.append(systemd.recv(100))
        assert daemon.stop() == 0
        while said[-1] != b"STOPPING=1":
            said.append(systemd.recv(100))


def test_bad_configuration_ends_the_start_with_every_problem(start: Start) -> None:
    daemon = start("receiver=misconfigured", ready=False)
    assert daemon.end() == 1
    causes = [x["cause"] for x in daemon.transcript if "not_prep" in x["event"]]
    assert causes == ["otrsd.yaml:3:1: no such key", "config/a.yaml:1:1: no"]


def test_newer_schema_ends_the_start_with_78(start: Start) -> None:
    daemon = start("receiver=waits", "postmaster-1=too_new", ready=False)
    assert daemon.end() == 78
    assert "toy.ended receiver" in daemon.events("toy.ended")


def test_supervisor_imports_nothing_heavy() -> None:
    code = "import sys, otrsd.daemon.supervisor; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not set(HEAVY) & set(said.stdout.split())
