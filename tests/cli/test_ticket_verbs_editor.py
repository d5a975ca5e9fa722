"""What a person writes in an editor, on a terminal; it is never lost."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otrsd.testing import Site
from tests.cli import test_terminal
from tests.cli.conftest import MakeMail
from tests.cli.test_terminal import OnTerminal

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Editor = Callable[[str], None]
#: The fixture itself; an import by its name would be hidden by the arguments.
on_terminal = test_terminal.on_terminal
KEPT = re.compile(r"is in (\S+otrsd-\w+\.txt)")


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Give what makes $EDITOR do this with ``path`` and its ``text``."""

    def does(source: str) -> None:
        script = tmp_path / "editor.py"
        before = "import pathlib, subprocess, sys\npath = pathlib.Path(sys.argv[1])\n"
        script.write_text(f"{before}text = path.read_text()\n{source}\n", "utf-8")
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(script)]))

    (tmp_path / "drafts").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "drafts"))
    return does


@pytest.fixture
def number(site: Site, make_mail: MakeMail) -> str:
    """Give the number of a ticket whose customer writes something evil."""
    outcome = site.deliver(make_mail("It burns \x1b[2J\n", Message_ID="<1@a.example>"))
    number = site.ticket(outcome.ticket_id).number
    site.close()
    return number


def drafts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "drafts").iterdir())


def kept(printed: str) -> str:
    """Return the text in the file that was named (the terminal may break lines)."""
    found = KEPT.search(printed)
    assert found is not None, printed
    return Path(found[1]).read_text("utf-8")


def test_what_stands_above_the_line_is_sent(
    on_terminal: OnTerminal, site: Site, number: str, editor: Editor, tmp_path: Path
):
    seen = tmp_path / "seen"
    editor(
        f"pathlib.Path({str(seen)!r}).write_text(text)\npath.write_text('Hi' + text)"
    )
    code, printed = on_terminal("ticket", "reply", number)
    assert (code, "answered kim@customer.example" in printed) == (0, True)
    assert site.articles(1)[-1].text == "Hi\n"
    assert "It burns \\x1b[2J" in seen.read_text("utf-8")
    assert drafts(tmp_path) == []


def test_an_empty_text_changes_nothing(
    on_terminal: OnTerminal, site: Site, number: str, editor: Editor, tmp_path: Path
):
    editor("")
    code, printed = on_terminal("ticket", "note", number)
    assert (code, printed) == (1, "otrsd: the text is empty: nothing was changed\n")
    assert len(site.articles(1)) == 1
    assert drafts(tmp_path) == []


def test_an_editor_that_fails_keeps_the_text(
    on_terminal: OnTerminal, site: Site, number: str, editor: Editor
):
    editor("path.write_text('Hi there' + text)\nsys.exit(3)")
    code, printed = on_terminal("ticket", "reply", number)
    assert (code, "ended with 3" in printed) == (1, True)
    assert kept(printed) == "Hi there"
    assert len(site.articles(1)) == 1


def test_an_editor_that_is_not_there(
    on_terminal: OnTerminal,
    number: str,
    editor: Editor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    editor("")
    monkeypatch.setenv("EDITOR", "no-such-editor")
    code, printed = on_terminal("ticket", "reply", number)
    assert (code, "Try: -m TEXT, or set EDITOR" in printed) == (1, True)
    assert drafts(tmp_path) == []


def moving(number: str) -> str:
    """Return an editor in whose time somebody else moves the ticket."""
    otrsd = [sys.executable, str(ROOT / "scripts" / "otrsd")]
    command = [*otrsd, "ticket", "move", number, "billing"]
    return (
        "path.write_text('Hi there' + text)\n"
        f"subprocess.run({command!r}, check=True, stdout=subprocess.DEVNULL)"
    )


def test_an_answer_to_what_is_no_longer_so_is_not_sent_and_kept(
    on_terminal: OnTerminal, site: Site, number: str, editor: Editor
):
    editor(moving(number))
    code, printed = on_terminal("ticket", "reply", number)
    assert (code, "changed by somebody else" in printed) == (6, True)
    assert kept(printed) == "Hi there"
    assert (len(site.articles(1)), site.tickets()[0].queue) == (1, "billing")


def test_a_note_overwrites_nothing_so_it_is_added(
    on_terminal: OnTerminal, site: Site, number: str, editor: Editor
):
    editor(moving(number))
    assert on_terminal("ticket", "note", number)[0] == 0
    assert site.articles(1)[-1].text == "Hi there\n"
    assert site.tickets()[0].queue == "billing"


def test_a_dry_run_keeps_the_text(
    on_terminal: OnTerminal, site: Site, number: str, editor: Editor
):
    editor("path.write_text('Hi there' + text)")
    code, printed = on_terminal("ticket", "reply", number, "--dry-run")
    assert (code, kept(printed)) == (0, "Hi there")
    assert len(site.articles(1)) == 1
