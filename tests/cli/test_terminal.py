"""What only a terminal gets: tables, questions, the progress bar."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otrsd.testing import Site
from tests.cli.conftest import MakeMail

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Seconds without a word after which a command counts as hanging.
PATIENCE = 15.0
#: How a terminal is told of bold type and of the cursor.
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
OnTerminal = Callable[..., tuple[int, str]]


@pytest.fixture
def on_terminal(site: Site) -> OnTerminal:
    """Give a function that runs a command on a terminal."""

    def run(*arguments: str, typed: str = "", columns: int = 100) -> tuple[int, str]:
        ours, its = pty.openpty()
        command = [sys.executable, str(ROOT / "scripts" / "otrsd"), *arguments]
        environ = os.environ | {
            "COLUMNS": f"{columns}",
            "NO_COLOR": "1",
            "TERM": "xterm",
        }
        os.write(ours, typed.encode())
        with subprocess.Popen(
            command, stdin=its, stdout=its, stderr=its, env=environ
        ) as process:
            os.close(its)
            try:
                printed = _all_of(ours)
            except TimeoutError:
                process.kill()
                raise
            finally:
                os.close(ours)
        return process.returncode, STYLE.sub("", printed).replace("\r\n", "\n")

    return run


def _all_of(descriptor: int) -> str:
    printed = b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], PATIENCE)
        if not ready:
            raise TimeoutError(f"it waits for something after: {printed!r}")
        try:
            some = os.read(descriptor, 65536)
        except OSError as error:
            # Linux says EIO where the other side has closed the terminal.
            if error.errno != errno.EIO:
                raise
            some = b""
        if not some:
            return printed.decode()
        printed += some


@pytest.fixture
def held(site: Site, make_mail: MakeMail) -> str:
    return str(site.deliver(make_mail(Subject="hold me")).spool_id)


@pytest.mark.parametrize("columns", [80, 40])
def test_a_number_is_never_broken(
    on_terminal: OnTerminal, site: Site, make_mail: MakeMail, columns: int
):
    number = site.ticket(site.deliver(make_mail(Subject="long " * 50)).ticket_id).number
    _, text = on_terminal("ticket", "list", columns=columns)
    assert number in text


def test_a_table_has_a_heading(on_terminal: OnTerminal, held: str):
    _, text = on_terminal("spool", "list")
    heading, row = text.splitlines()[:2]
    assert heading.split() == [
        "id",
        "state",
        "received",
        "from",
        "size",
        "next",
        "reason",
    ]
    assert row.startswith(held)


def test_no_leaves_everything_as_it_is(on_terminal: OnTerminal, site: Site, held: str):
    code, text = on_terminal("spool", "discard", held, typed="n\n")
    assert code == 1
    assert f"discard {held}  held" in text
    assert text.endswith("otrsd: nothing was changed\n")
    assert site.app.spool.entry(held).state == "held"


def test_yes_does_it(on_terminal: OnTerminal, site: Site, held: str):
    code, text = on_terminal("spool", "retry", held, typed="y\n")
    assert code == 0
    assert text.endswith("it waits for a worker\n")
    assert site.app.spool.entry(held).state == "incoming"


def test_no_answer_at_all_is_130(on_terminal: OnTerminal, site: Site, held: str):
    code, _ = on_terminal("spool", "discard", held, typed="\x04")
    assert code == 130
    assert site.app.spool.entry(held).state == "held"


def test_raw_on_a_terminal_is_made_visible(
    on_terminal: OnTerminal, site: Site, make_mail: MakeMail
):
    held = site.deliver(make_mail("\x1b[31m \u202e", Subject="hold me")).spool_id
    _, text = on_terminal("spool", "show", held, "--raw")
    assert "\\x1b[31m \\u202e" in text


def test_a_rebuild_shows_a_bar(on_terminal: OnTerminal, site: Site):
    site.deliver(b"Subject: one\n\nwords\n")
    code, text = on_terminal("reindex")
    assert code == 0
    assert "reading articles" in text
    assert "1/1" in text
