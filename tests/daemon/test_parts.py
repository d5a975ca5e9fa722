from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from otrsd.control import Control, Work
from otrsd.daemon import lock, status
from otrsd.daemon.backoff import DELAYS, Backoff
from otrsd.daemon.control import ThreadControl
from otrsd.daemon.messages import Died, Loaded, Message, RoleLine, Start, wires
from otrsd.daemon.notify import Notifier
from otrsd.daemon.roles import arrange, postmasters


def run(control: Control, before: Work | None) -> None:
    return


def test_crash_loop_waits_longer_and_longer() -> None:
    backoff = Backoff()
    waits = [backoff.delay(0.1) for _ in range(9)]
    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_minute_of_health_pays_everything_back() -> None:
    backoff = Backoff()
    for _ in DELAYS:
        backoff.delay(0.1)
    assert backoff.delay(60.0) == 0


def test_deaths_six_seconds_apart_cost_no_time() -> None:
    backoff = Backoff()
    assert [backoff.delay(6.0) for _ in range(5)] == [0] * 5


def test_death_over_a_mail_keeps_others_waiting_half_a_second_at_most() -> None:
    backoff = Backoff()
    waits = [backoff.delay(0.1, over_a_mail=True) for _ in range(9)]
    assert waits == [0, *[0.5] * 8]


def test_deaths_over_single_mails_do_not_slow_down_the_next_restart() -> None:
    backoff = Backoff()
    for _ in range(9):
        backoff.delay(0.1, over_a_mail=True)
    assert backoff.delay(0.1) == 0.5


@pytest.mark.parametrize(
    ("wanted", "cores", "count"),
    [(0, 1, 1), (0, 2, 1), (0, 4, 3), (0, 64, 4), (0, None, 1), (7, 2, 7)],
)
def test_number_of_postmasters(wanted: int, cores: int | None, count: int) -> None:
    assert postmasters(wanted, cores) == count


def test_roles_are_arranged_in_the_order_of_their_start() -> None:
    runs = dict.fromkeys(("scheduler", "index", "postmaster", "receiver"), run)
    names = [role.name for role in arrange(runs, postmasters=2)]
    assert names == ["receiver", "postmaster-1", "postmaster-2", "index", "scheduler"]


def test_messages_survive_the_wire_in_pieces() -> None:
    left, right = wires()
    said: list[Message] = [
        Start(name="relay", slot=3, predecessor=Work(stage="find", alone=True)),
        Died(name="relay", pid=7, code=-9),
        Loaded(roles=(RoleLine(name="relay", start=1, stop=2),)),
    ]
    for message in said:
        left.send(message)
    assert right.receive() == said
    assert (right.receive(), right.ended) == ([], False)
    left.close()
    assert (right.receive(), right.ended) == ([], True)
    right.close()


def test_thread_control_hears_the_stop() -> None:
    control = ThreadControl("relay")
    assert (control.stopping(), control.wait(0)) == (False, False)
    control.ask_to_stop()
    assert (control.wait(60), control.stopping()) == (True, True)
    control.close()


def test_lock_names_its_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    assert lock.holder(tmp_path) is None
    with lock.take(tmp_path):
        assert lock.holder(tmp_path) == os.getpid()
        with pytest.raises(lock.AlreadyRunningError, match=str(os.getpid())) as refused:
            lock.take(tmp_path, pause=lambda _: None)
        assert refused.value.exit_code == 75
    assert lock.holder(tmp_path) is None


def test_status_is_written_once_a_second_and_only_when_it_changed(
    tmp_path: Path,
) -> None:
    file = status.StatusFile(tmp_path)
    picture = status.DaemonStatus(pid=os.getpid(), state="ready", since="now")
    file.show(picture, 10.0)
    written = (tmp_path / status.STATUS_NAME).stat().st_ino
    assert not file.due(10.9)
    assert file.due(11.0)
    file.show(picture, 11.0)
    assert (tmp_path / status.STATUS_NAME).stat().st_ino == written


def test_status_of_a_dead_daemon_is_recognised(tmp_path: Path) -> None:
    process = status.ProcessStatus(
        name="relay", pid=7, state="ready", since="now", restarts=0
    )
    picture = status.DaemonStatus(
        pid=os.getpid(), state="ready", since="now", processes=(process,)
    )
    with lock.take(tmp_path):
        before = status.read(tmp_path)
        assert before
        assert before.state == "starting"
        status.StatusFile(tmp_path).show(picture, 0.0)
        assert status.read(tmp_path) == picture
    assert status.read(tmp_path) is None


def test_disk_without_room_costs_only_the_picture(tmp_path: Path) -> None:
    picture = status.DaemonStatus(pid=1, state="ready", since="now")
    status.StatusFile(tmp_path / "gone").show(picture, 0.0)


def test_systemd_hears_what_is_said(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000"}
        notifier = Notifier(environ)
        notifier.send("READY=1", "MAINPID=7")
        assert systemd.recv(100) == b"READY=1\nMAINPID=7"
    assert notifier.watchdog_seconds == 30.0
    notifier.send("STOPPING=1")


def test_watchdog_of_another_process_is_not_ours() -> None:
    environ = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    assert Notifier(environ).watchdog_seconds == 0.0
    assert Notifier({}).watchdog_seconds == 0.0
