"""otrsd status: a picture that survives what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.daemon import lock
from otrsd.daemon.status import DaemonStatus, ProcessStatus, StatusFile
from otrsd.ids import new_id
from otrsd.testing import Site
from tests.cli.conftest import Golden, MakeMail, Otrsd

DEATH = "signal 9 in amend of plugin slow"


def show(state: Path, *children: ProcessStatus) -> None:
    """Write what a supervisor with these children would."""
    pid = lock.holder(state)
    assert pid
    shown = DaemonStatus(pid=pid, state="ready", since="", processes=children)
    StatusFile(state).show(shown, 0.0)


@pytest.fixture
def daemon(site: Site) -> Iterator[None]:
    """Stand in for a supervisor with a dead child."""
    child = ProcessStatus(
        name="postmaster-1",
        pid=0,
        state="waiting",
        since="",
        restarts=2,
        last_death=DEATH,
    )
    state = site.root / "var"
    with lock.take(state):
        show(state, child)
        yield


def test_without_a_daemon_the_rest_is_still_told(
    otrsd: Otrsd, site: Site, make_mail: MakeMail, golden: Golden
):
    site.deliver(make_mail(Subject="hold me"))
    site.search("nothing")
    ran = otrsd("status")
    assert ran.code == 1
    golden("status-down", ran.out)


def test_what_the_pipe_has_taken_is_counted(otrsd: Otrsd, site: Site):
    drop = site.root / "var" / "drop"
    drop.mkdir(exist_ok=True)
    (drop / new_id(site.clock.now(), bytes(10))).touch()
    (drop / "damaged").mkdir(exist_ok=True)
    assert otrsd("status", "--json").json["spool"]["dropped"] == 1
    assert "1 mail by pipe, not fetched" in otrsd("status").out


def test_every_member_is_there_without_a_daemon(otrsd: Otrsd, site: Site):
    found = otrsd("status", "--json").json
    assert found["daemon"] == {"running": False}
    assert found["processes"] == found["plugins"]["failing"] == []
    assert set(found["spool"]) == {
        *("incoming", "active", "deferred", "held", "oldest_seconds", "dropped")
    }
    assert set(found["index"]) == {
        *("state", "reason", "waiting", "lag_seconds", "being_rebuilt"),
        *("done", "total"),
    }


def test_a_dead_process_is_a_problem(otrsd: Otrsd, site: Site, daemon: None):
    site.search("nothing")
    ran = otrsd("status", "--json")
    assert ran.code == 1
    assert ran.json["daemon"]["running"] is True
    assert ran.json["problems"] == [f"postmaster-1 is dead: {DEATH}"]
    assert "2 restarts, last death: signal 9" in otrsd("status").out


def test_all_well_is_exit_0(otrsd: Otrsd, site: Site):
    site.search("nothing")
    state = site.root / "var"
    with lock.take(state):
        show(state)
        ran = otrsd("status")
    assert (ran.code, "problem" in ran.out) == (0, False)


def test_a_failing_plugin_is_named(otrsd: Otrsd, site: Site):
    site.app.spool.plugin_failed("slow", "ValueError: \x1b[31m no")
    ran = otrsd("status")
    assert "problem: plugin slow fails: ValueError: \\x1b[31m no" in ran.out
    (failing,) = otrsd("status", "--json").json["plugins"]["failing"]
    assert (failing["name"], failing["failures_in_a_row"]) == ("slow", 1)


def test_a_broken_configuration_hides_nothing_else(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
):
    site.deliver(make_mail(Subject="hold me"))
    (site.root / "otrsd.yaml").write_text("queuse: {}\n")
    found = otrsd("status", "--json").json
    assert found["spool"]["held"] == 1
    assert any("did you mean 'queues'" in text for text in found["problems"])


def test_an_index_that_lags_for_a_minute_is_a_problem(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
):
    site.search("nothing")
    site.clock.advance(timedelta(seconds=-3600))
    site.deliver(make_mail())
    found = otrsd("status", "--json").json
    assert found["index"]["waiting"] == 1
    assert found["index"]["lag_seconds"] > 60
    assert any("behind" in text for text in found["problems"])


def test_a_folder_where_nothing_ran_yet(
    otrsd: Otrsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "otrsd.yaml").write_text("queues: {support: {}}\n")
    monkeypatch.setenv("OTRSD_CONFIG", str(tmp_path))
    monkeypatch.delenv("OTRSD_STATE", raising=False)
    ran = otrsd("status")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.endswith("problem: no daemon runs. Try: otrsd run\n")
    assert not (tmp_path / "var").exists()
