"""Counters of many processes add up, and outlive those who counted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from otrsd.counters import (
    MAIL_RECEIVED,
    MAIL_SECONDS,
    RULE_MATCHES,
    Counters,
    read_all,
)

SMTP = ("otrsd_mail_received", "smtp", "accepted")


def in_a_process(work: Callable[[], None], end: int = 0) -> None:
    """Do ``work`` in a forked process that a signal ends, or that ends by itself."""
    pid = os.fork()
    if not pid:
        work()
        if end:
            os.kill(os.getpid(), end)
        os._exit(0)
    os.waitpid(pid, 0)


def count_two(folder: Path) -> None:
    counters = Counters.open(folder, "receiver")
    counters.count(MAIL_RECEIVED, "smtp", "accepted")
    counters.count(MAIL_RECEIVED, "smtp", "accepted")


def test_a_killed_process_leaves_its_counts_to_the_next_one(tmp_path: Path):
    in_a_process(lambda: count_two(tmp_path), signal.SIGKILL)
    in_a_process(lambda: count_two(tmp_path))
    assert read_all(tmp_path) == {SMTP: 4.0}
    assert [path.name for path in tmp_path.iterdir()] == ["receiver.0"]


def test_two_of_one_role_write_no_file_together(tmp_path: Path):
    old = Counters.open(tmp_path, "receiver")
    in_a_process(lambda: count_two(tmp_path))
    old.count(MAIL_RECEIVED, "smtp", "accepted")
    assert read_all(tmp_path) == {SMTP: 3.0}


def test_a_time_is_in_its_class_and_in_the_sum(tmp_path: Path):
    Counters.open(tmp_path, "p").observe(MAIL_SECONDS, "desk", seconds=0.02)
    name = MAIL_SECONDS.name
    assert read_all(tmp_path) == {
        (name, "desk", "0.025"): 1.0,
        (name, "desk", "sum"): 0.02,
    }


def test_more_names_than_places_cost_nothing_but_their_figures(tmp_path: Path):
    counters = Counters.open(tmp_path, "p")
    for number in range(3000):
        counters.count(RULE_MATCHES, f"rule {number} {'ü' * 200}")
    assert len(read_all(tmp_path)) == 2047


def test_where_no_file_can_be_made_nothing_fails(tmp_path: Path):
    (tmp_path / "file").touch()
    Counters.open(tmp_path / "file", "p").count(MAIL_RECEIVED, "smtp", "accepted")
    assert read_all(tmp_path / "nowhere") == {}


def test_a_foreign_or_cut_file_is_left_out(tmp_path: Path):
    (tmp_path / "a.0").write_bytes(b"something else")
    (tmp_path / "b.0").write_bytes(b"otrsd-1\0" + b"\xff" * 9)
    assert read_all(tmp_path) == {}


def test_p3_a_full_disk_costs_the_figures_and_nothing_else():
    counters = Counters(os.open("/dev/full", os.O_RDWR))
    for _ in range(3):
        counters.count(RULE_MATCHES, "a rule")
