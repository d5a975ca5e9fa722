"""What holds for every command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from otrsd.cli import access
from otrsd.cli.access import enter, login
from otrsd.cli.main import cli
from otrsd.errors import NotAllowedError
from otrsd.testing import Site
from tests.cli.conftest import MakeMail, Otrsd

ROOT = Path(__file__).parents[2]
OTRSD = (sys.executable, str(ROOT / "scripts" / "otrsd"))
#: What takes long to import; `otrsd --help` needs none of it.
HEAVY = {
    "alembic",
    "lark",
    "pluggy",
    "pydantic",
    "rich",
    "sqlalchemy",
    "whoosh",
    "yaml",
}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")


def commands(
    group: click.Group = cli, name: str = ""
) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        assert command is not None
        full = f"{name} {each}".strip()
        yield full, command
        if isinstance(command, click.Group):
            yield from commands(command, full)


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help(name: str):
    assert ALL[name].help


@pytest.mark.parametrize("name", ALL)
def test_every_option_has_help(name: str):
    if name == "pipe":
        return
    options = [p for p in ALL[name].params if isinstance(p, click.Option)]
    assert all(option.help or option.hidden for option in options)


@pytest.mark.parametrize("name", ALL)
def test_every_command_stands_in_the_reference(name: str):
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert re.search(rf"`otrsd {name}\b", text)


@pytest.mark.parametrize("name", ALL)
def test_every_option_stands_in_the_reference(name: str):
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    options = [p for p in ALL[name].params if isinstance(p, click.Option)]
    absent = [o.opts[-1] for o in options if not o.hidden and o.opts[-1] not in text]
    assert absent == []


def test_help_imports_nothing_heavy():
    code = "import sys, otrsd.cli.main as m; m.main(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "Usage: otrsd" in done.stdout
    assert HEAVY & set(done.stdout.split()) == set()


def test_an_unknown_command_is_wrong_usage(otrsd: Otrsd):
    ran = otrsd("tickets")
    assert (ran.code, ran.out) == (2, "")


def test_without_a_configuration_the_places_are_named(
    otrsd: Otrsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTRSD_CONFIG", raising=False)
    ran = otrsd("status")
    assert ran.code == 1
    assert "otrsd -c PATH" in ran.err


def test_before_the_first_run_there_is_nothing_to_look_at(
    otrsd: Otrsd, site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTRSD_STATE", str(site.root / "elsewhere"))
    for command in (["ticket", "list"], ["spool", "list"], ["trash", "list"]):
        ran = otrsd(*command)
        assert ran.code == 3
        assert ran.err.endswith("Try: otrsd run\n")


def test_an_error_of_our_own_shows_no_traceback(
    otrsd: Otrsd, site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OTRSD_DEBUG", raising=False)
    (site.root / "var" / "spool.db").write_bytes(b"no database at all" * 100)
    site.close()
    ran = otrsd("spool", "list")
    assert ran.code in {1, 75}
    assert ran.err.startswith("otrsd: ")
    assert "Traceback" not in ran.err


def test_what_the_system_refuses_is_no_error_of_ours(site: Site, make_mail: MakeMail):
    site.deliver(make_mail())
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*OTRSD, "ticket", "list"], check=False, stdout=full, stderr=subprocess.PIPE
        )
    assert ran.returncode == 1
    assert ran.stderr.startswith(b"otrsd: the system says: No space left on device\n")
    assert b"of otrsd itself" not in ran.stderr


def test_whoever_has_read_enough_is_no_failure(site: Site, make_mail: MakeMail):
    site.deliver(make_mail())
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [*OTRSD, "ticket", "list"], check=False, stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_the_owner_may_enter_and_an_absent_folder_is_nobodys(tmp_path: Path):
    enter(tmp_path)
    enter(tmp_path / "absent")


def in_a_child(deed: Callable[[], int]) -> int:
    """Run ``deed`` in a forked process; return its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(deed())
        except NotAllowedError:
            os._exit(4)
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@AS_ROOT
def test_root_becomes_the_owner_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    os.chown(tmp_path, 4711, 4712)
    # The folders above are closed to others, so the child starts inside.
    monkeypatch.chdir(tmp_path)
    # And this Python may be closed to others, too.
    for module in (os, access):
        monkeypatch.setattr(module, "__file__", "/etc/passwd")

    def deed() -> int:
        enter(Path())
        Path("new").touch()
        ids = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
        return int(not ids <= {4711, 4712})

    assert in_a_child(deed) == 0
    assert (tmp_path / "new").stat().st_uid == 4711


@AS_ROOT
def test_owner_who_can_not_read_our_python_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    os.chown(tmp_path, 4711, 4712)
    monkeypatch.chdir(tmp_path)
    closed = tmp_path / "os.py"
    closed.touch(0o600)
    monkeypatch.setattr(os, "__file__", str(closed))

    def deed() -> int:
        with pytest.raises(NotAllowedError, match=r"who can't read .*/os\.py"):
            enter(Path())
        # What is left can still be imported, for the words.
        return os.geteuid()

    assert in_a_child(deed) == 0


@AS_ROOT
def test_anybody_else_is_not_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def deed() -> int:
        os.setuid(4711)
        enter(Path())
        return 0

    assert in_a_child(deed) == NotAllowedError.exit_code


def test_a_user_without_a_name_has_a_number():
    assert login(4_000_000_000) == "uid:4000000000"
