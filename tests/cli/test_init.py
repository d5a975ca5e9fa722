"""`otrsd init`: sites that pass their own check, and nothing overwritten."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otrsd.app import load
from otrsd.cli.init import EXAMPLES
from otrsd.cli.mta import found_mta
from otrsd.cli.unit import unit_text
from otrsd.clock import SystemClock
from otrsd.config.problem import Source
from otrsd.config.yaml import read

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTRSD_CONFIG", raising=False)
    monkeypatch.delenv("OTRSD_STATE", raising=False)


@pytest.mark.parametrize("example", EXAMPLES)
def test_new_site_passes_its_own_check(
    otrsd: Run, tmp_path: Path, example: str
) -> None:
    made = otrsd(
        "init", str(tmp_path / "desk"), "--example", example, "--address", "a@b.test"
    )
    assert made.code == 0, made.err
    assert "made a site" in made.out
    checked = otrsd("-c", str(tmp_path / "desk"), "check", "--strict")
    assert checked.code == 0, checked.out
    assert "no errors, no warnings" in checked.out
    app = load(tmp_path / "desk/otrsd.yaml", {}, SystemClock())
    assert app.routes.queue_of("a@b.test") == app.config.site.default_queue
    assert app.routes.domains == {"b.test"}
    app.close()


def test_site_file_names_no_queue(otrsd: Run, tmp_path: Path) -> None:
    otrsd("init", str(tmp_path))
    text = (tmp_path / "otrsd.yaml").read_text()
    tree = read(Source(name="otrsd.yaml", text=text)).root
    assert set(tree.map or {}) == {"site", "listen", "include"}
    assert "queue" not in str(tree.plain())


def test_site_without_drop_ins_has_one_queue(otrsd: Run, tmp_path: Path) -> None:
    otrsd("init", str(tmp_path))
    shutil.rmtree(tmp_path / "config")
    (tmp_path / "config").mkdir()
    assert "queues: 1 ok" in otrsd("-c", str(tmp_path), "check").out
    own = "queues: {support: {address: me@own.test}}\n"
    (tmp_path / "config/q.yaml").write_text(own)
    checked = otrsd("-c", str(tmp_path), "check")
    assert (checked.code, "queues: 1 ok" in checked.out) == (0, True)


def test_site_that_is_there_is_left_alone(otrsd: Run, tmp_path: Path) -> None:
    (tmp_path / "otrsd.yaml").write_text("site: {name: Mine}\n")
    refused = otrsd("init", str(tmp_path))
    assert refused.code == 1
    assert "there is a site in" in refused.err
    assert [p.name for p in tmp_path.iterdir()] == ["otrsd.yaml"]
    assert (tmp_path / "otrsd.yaml").read_text() == "site: {name: Mine}\n"


def test_file_that_is_there_is_kept(otrsd: Run, tmp_path: Path) -> None:
    (tmp_path / "otrsd.service").write_text("mine")
    made = otrsd("init", str(tmp_path))
    assert made.code == 0
    assert "otrsd.service is there already" in made.err
    assert (tmp_path / "otrsd.service").read_text() == "mine"


@pytest.mark.parametrize("address", ["support", "a b@c.test", "", "<a@b.test>"])
def test_no_address_no_site(otrsd: Run, tmp_path: Path, address: str) -> None:
    refused = otrsd("init", str(tmp_path / "desk"), "--address", address)
    assert (refused.code, (tmp_path / "desk").exists()) == (1, False)
    assert "wants a mail address" in refused.err


def test_state_is_closed_and_ready_for_mail(otrsd: Run, tmp_path: Path) -> None:
    otrsd("init", str(tmp_path / "desk"))
    state = tmp_path / "desk/var"
    assert stat.S_IMODE(state.stat().st_mode) == 0o711
    assert stat.S_IMODE((state / "desk.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "keys/history.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "desk/otrsd.yaml").stat().st_mode) == 0o640
    assert (state / "pipe.json").exists()
    listed = otrsd("-c", str(tmp_path / "desk"), "ticket", "list")
    assert (listed.code, listed.out) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_gives_the_state_to_the_user_of_the_daemon(
    otrsd: Run, tmp_path: Path
) -> None:
    otrsd("init", str(tmp_path / "desk"), "--user", "nobody")
    assert (tmp_path / "desk/var/desk.db").owner() == "nobody"
    assert (tmp_path / "desk/otrsd.yaml").owner() == "root"
    assert "User=nobody" in (tmp_path / "desk/otrsd.service").read_text()


def test_each_mta_gets_its_lines(tmp_path: Path) -> None:
    def lines() -> str:
        mta = found_mta({}, tmp_path)
        return mta.name + "\n" + "\n".join(mta.lines("a@b.test", "/o", "/srv/d"))

    assert 'a: "|/o pipe -c /srv/d || exit 75"' in lines()
    (tmp_path / "etc/exim4").mkdir(parents=True)
    assert "protocol = lmtp" in lines()
    (tmp_path / "etc/postfix").mkdir()
    assert "'transport_maps = inline:{ a@b.test=lmtp:inet:127.0.0.1:8024 }'" in lines()
    (tmp_path / "etc/postfix/main.cf").write_text(
        "transport_maps = hash:/etc/postfix/transport,\n# old\n  regexp:/x\nfoo = 1\n"
    )
    # What the sysadmin has set already stays in force.
    assert "= hash:/etc/postfix/transport, regexp:/x, inline:{" in lines()


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
@pytest.mark.parametrize("folder", ["desk", "my de%sk$x"])
def test_unit_is_closed(tmp_path: Path, folder: str) -> None:
    site = tmp_path / folder
    site.mkdir()
    command = Path("/usr/bin/env")
    unit = site / "otrsd.service"
    unit.write_text(unit_text(folder=site, user="mail", command=command))
    verified = _systemd("verify", unit)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    scored = _systemd("security", "--offline=true", "--threshold=15", unit)
    # Above the threshold, given in tenths, it ends with 1.
    assert scored.returncode == 0, scored.stdout


def _systemd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )
