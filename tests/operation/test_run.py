"""`otrsd run` in its manners: one process, some roles, for the eye."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otrsd.daemon import status
from otrsd.daemon.roles import DUTIES, Wanted

slow = pytest.mark.slow
ALL_BUT_MAIL = [
    *("receiver", "postmaster-1"),
    *("index", "extract", "scheduler", "health"),
]


def names(site: Any) -> list[str]:
    shown = status.read(site.state)
    return [each.name for each in shown.processes] if shown else []


def kinds(site: Any) -> list[str]:
    return sorted({each.partition("-")[0] for each in names(site)})


@slow
def test_single_is_one_process_that_makes_tickets(site: Any) -> None:
    pid = site.start("--single")
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text() == ""
    assert names(site) == ALL_BUT_MAIL
    site.send("by SMTP")
    taken = site.otrsd(
        *("pipe", "-c", str(site.folder), "help@acme.test"),
        stdin="From: me@example.org\nSubject: by pipe\n\nHi\n",
    )
    assert taken.returncode == 0
    site.until(lambda: sorted(site.titles()) == ["by SMTP", "by pipe"])
    site.until(lambda: "by SMTP" in site.otrsd("search", "SMTP").stdout)
    assert site.otrsd("doctor").returncode == 0
    assert site.stop() == 0
    assert not list(site.state.glob("hands-*"))


@slow
def test_single_reload_takes_rules_and_plugins_anew(site: Any) -> None:
    plugin = site.folder / "plugins/mark.py"
    source = (
        "import otrsd\n\n\n@otrsd.hookimpl\n"
        "def amend_ticket(mail, envelope, draft):\n"
        "    return otrsd.Changes(title='by WHICH')\n"
    )
    plugin.write_text(source.replace("WHICH", "one"))
    site.start("--single")
    site.send("x")
    site.until(lambda: site.titles() == ["by one"])
    plugin.write_text(source.replace("WHICH", "two"))
    reloaded = site.otrsd("reload")
    assert reloaded.returncode == 0, reloaded.stdout + reloaded.stderr
    site.send("y")
    site.until(lambda: sorted(site.titles()) == ["by one", "by two"])
    (site.folder / "config/30-bad.yaml").write_text("queues: 7\n")
    assert site.otrsd("reload").returncode == 1
    site.send("z")
    (site.folder / "config/30-bad.yaml").unlink()
    site.until(lambda: len(site.titles()) == 3)
    assert site.stop() == 0


@slow
@pytest.mark.parametrize(
    "deed", ["threading.Event().wait()", "os._exit(0)", "os.abort()"]
)
def test_single_mail_that_a_plugin_dies_in_becomes_a_ticket(
    site: Any, deed: str
) -> None:
    (site.folder / "plugins/evil.py").write_text(
        "import os, threading\nimport otrsd\n\n\n@otrsd.hookimpl\n"
        "def amend_ticket(mail, envelope, draft):\n"
        f"    if 'evil' in mail.subject:\n        {deed}\n"
    )
    site.start("--single")
    site.send("evil")
    for _ in range(6):
        site.until(lambda: not site.is_running() or "evil" in site.titles())
        if site.is_running():
            break
        site.start("--single")
    assert site.titles() == ["evil"]
    shown = site.otrsd("ticket", "list", "--json").stdout
    assert "plugin-failed" in shown


@slow
def test_role_runs_what_it_names(site: Any) -> None:
    site.start("--role", "receiver,postmaster")
    assert kinds(site) == ["health", "postmaster", "receiver"]
    site.send("Hello")
    site.until(lambda: site.titles() == ["Hello"])
    site.stop()
    site.start("--role", "relay,scheduler")
    assert kinds(site) == ["extract", "health", "index", "scheduler"]
    site.until(lambda: "Hello" in site.otrsd("search", "Hello").stdout)
    found = site.otrsd("doctor")
    assert found.returncode == 0, found.stdout
    assert site.otrsd("reload").returncode == 0


@slow
def test_dev_reloads_by_itself(site: Any) -> None:
    site.start("--dev")
    assert names(site) == ALL_BUT_MAIL
    extra = "queues:\n  sales: {address: sales@acme.test}\n"
    (site.folder / "config/30-sales.yaml").write_text(extra)
    site.until(lambda: site.events("config.reloaded"))
    assert site.events("config.changed")[0]["files"] == "config/30-sales.yaml"
    site.send("to the new queue", to="sales@acme.test")
    site.until(lambda: site.titles() == ["to the new queue"])
    assert "sales@acme.test" in (site.state / "pipe.json").read_text()


@slow
def test_dev_sends_no_mail(site: Any) -> None:
    (site.folder / "config/40-send.yaml").write_text(
        "send: {host: 127.0.0.1, port: 9, tls: none}\n"
    )
    site.start("--dev")
    assert "mail" not in names(site)


def test_every_role_belongs_to_a_duty() -> None:
    for duty, roles in DUTIES.items():
        wanted = Wanted(duties=frozenset({duty}))
        assert all(wanted.has(role) for role in (*roles, "health"))
        others = {each for found in DUTIES.values() for each in found} - set(roles)
        assert not any(wanted.has(role) for role in others)


@pytest.fixture
def bare(tmp_path: Path) -> Any:
    """Give a function that runs a command in an empty folder with a shell's words."""

    def run(words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        root = Path(__file__).resolve().parents[2]
        (tmp_path / "otrsd.yaml").write_text("listen: {smtp: null, lmtp: null}\n")
        return subprocess.run(
            ["sh", "-c", f'exec "{sys.executable}" "{root}/scripts/otrsd" {words}'],
            cwd=tmp_path,
            env={"PATH": os.defpath, "PYTHONPATH": str(root), **environ},
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("receiver", "Try: --role postmaster,receiver"),
        ("receiver,relay", "Try: --role postmaster,receiver,relay"),
        ("postmastr", "there is no role 'postmastr'; there are receiver, postmaster"),
        ("''", "there are receiver, postmaster, relay, scheduler"),
    ],
)
def test_role_that_can_not_be_is_wrong_usage(
    bare: Any, words: str, advice: str
) -> None:
    refused = bare(f"run --role {words}")
    assert (refused.returncode, advice in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize("name", ["OTRSD_LOG_LEVEL", "OTRSD_LOG"])
def test_log_that_can_not_be_is_told(bare: Any, name: str) -> None:
    refused = bare("run", **{name: "foo"})
    assert refused.returncode == 1
    assert f"{name} is 'foo'; it can be " in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", ["run 2>&-", "run 0<&- 2>&-"])
def test_without_stderr_the_log_goes_to_stdout(bare: Any, words: str) -> None:
    refused = bare(words, OTRSD_STATE="/proc/none")
    assert refused.returncode != 0
    assert "daemon.refused" in refused.stdout
    assert "OTRSD_LOG is" in bare(words, OTRSD_LOG="foo").stdout


@slow
def test_daemon_without_any_stream_runs(site: Any) -> None:
    process = subprocess.Popen(
        [
            "sh",
            "-c",
            f"exec {site.command} -c {site.folder} run 0<&- 1>&- 2>&-",
        ],
        env=site.environ({}),
    )
    try:
        site.until(
            lambda: (found := status.read(site.state)) and found.state == "ready"
        )
        site.send("Hello")
        site.until(lambda: site.titles() == ["Hello"])
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    assert (site.state / "desk.db").read_bytes().startswith(b"SQLite format 3")
