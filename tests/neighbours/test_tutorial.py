"""docs/tutorial.md, typed word by word on a machine with Debian's Postfix.

Each ``sh`` block is typed, the ``text`` block below it is what it must have said: ``…``
stands for anything, on a line of its own for any lines; numbers of tickets are all
alike. ``<!-- until -->`` above a block that only looks: a person would look again.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bench.site import ROOT
from bench.waiting import CLOCK, pause
from tests.conftest import missing
from tests.neighbours.machine import Machine, Said, is_possible, machine

pytestmark = pytest.mark.slow

PATIENCE = 30.0
TEXT = (ROOT / "docs" / "tutorial.md").read_text("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is typed, and what it must say."""

    typed: str
    said: str = ""
    #: Whether a person would look again until it has come.
    is_a_look: bool = False

    def is_kept_by(self, said: Said) -> bool:
        """Tell whether nothing failed and all that was promised was said."""
        kept = not self.said or pattern(self.said).fullmatch(said.text)
        return said.code == 0 and bool(kept)


def steps() -> Iterator[Step]:
    """Yield the steps of the tutorial in their order."""
    parts = re.split(r"^```(\w*)\n(.*?)^```\n", TEXT, flags=re.DOTALL | re.MULTILINE)
    texts, kinds, blocks = parts[::3], parts[1::3], parts[2::3]
    for n, (kind, block) in enumerate(zip(kinds, blocks, strict=True)):
        if kind == "sh":
            said = blocks[n + 1] if kinds[n + 1 : n + 2] == ["text"] else ""
            look = texts[n].endswith("<!-- until -->\n")
            yield Step(typed=block, said=said, is_a_look=look)


def pattern(promised: str) -> re.Pattern[str]:
    """Return what matches a text that keeps the promise."""
    lines = []
    for line in promised.splitlines():
        if line == "…":
            lines.append(r"(?:.*\n)*?")
            continue
        words = [re.escape(word).replace("…", ".*") for word in line.split()]
        words = [re.sub(r"\d{16}", r"\\d{16}", word) for word in words]
        lines.append(r"\s*" + r"\s+".join(words) + r"[^\S\n]*\n")
    return re.compile("".join(lines))


def follow(house: Machine, step: Step) -> None:
    """Type a step; look again where a person would."""
    done = house.run(step.typed)
    deadline = CLOCK.monotonic() + PATIENCE
    while step.is_a_look and not step.is_kept_by(done):
        assert CLOCK.monotonic() < deadline, step.typed + done.text
        pause(0.2)
        done = house.run(step.typed)
    assert step.is_kept_by(done), step.typed + done.text


@pytest.fixture(scope="module")
def away_from_home() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("only root can make a machine of namespaces")
    for program in ("postfix", "unshare", "useradd"):
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        if shutil.which(program, path=path) is None:
            missing(f"no {program} on this machine")
    if not is_possible():
        missing("no leave to make a machine of namespaces (unshare, mount)")
    with machine() as made:
        yield made


def test_the_promises_of_the_tutorial_are_read():
    found = list(steps())
    assert len(found) == len(re.findall(r"^```sh$", TEXT, re.MULTILINE))
    promised = [step for step in found if step.said]
    assert len(promised) == len(re.findall(r"^```text$", TEXT, re.MULTILINE))
    assert pattern("a … c\n…\nd 2026112410000019\n").fullmatch(
        "a b b  c\nx\nd 1234567812345678\n"
    )
    assert not pattern("a\n…\nd\n").fullmatch("a\nb\ndd\n")


@pytest.mark.timeout(300)
def test_tutorial_does_what_it_says(away_from_home: Machine):
    for step in steps():
        follow(away_from_home, step)


def test_wheel_brings_the_manual_page(away_from_home: Machine):
    page = away_from_home.run("otrsd man | cmp - /opt/otrsd/share/man/man1/otrsd.1")
    assert (page.code, page.text) == (0, "")


def test_backup_of_every_night_is_made_and_proved(away_from_home: Machine):
    line = r"sed -n 's/\\%/%/g; s/^15 3 \* \* \* otrsd //p' /etc/cron.d/otrsd"
    night = away_from_home.run(
        f"{line} > /srv/night; setpriv --reuid=otrsd --regid=otrsd --clear-groups "
        "env -i PATH=/usr/local/bin:/usr/bin:/bin PYTHONPATH=$PYTHONPATH "
        "sh -e /srv/night && ls -l /var/backups/otrsd"
    )
    assert night.code == 0, night.text
    assert re.search(
        r"^-rw------- 1 otrsd .* \d{4}-\d\d-\d\d\.tar\.gz$", night.text, re.MULTILINE
    )


@pytest.mark.timeout(120)
def test_doctor_knows_whether_nobody_can_run_the_alias(away_from_home: Machine):
    alias = 'help: "|/usr/local/bin/otrsd pipe -c /srv/otrsd || exit 75"'
    typed = f"echo '{alias}' >> /etc/aliases; newaliases; postfix reload"
    assert away_from_home.run(typed).code == 0
    doctor = away_from_home.run("otrsd doctor")
    assert "ok        alias     nobody can run /usr/local/bin/otrsd\n" in doctor.text
    closed = away_from_home.run("chmod 750 /srv/otrsd; otrsd doctor; chmod 751 .")
    assert "the user nobody is kept out by /srv/otrsd\n" in closed.text
    mail = "printf 'From: kim@example.com\\nSubject: By alias\\n\\nHi\\n'"
    away_from_home.run(f"{mail} | sendmail -f kim@example.com help@example.com")
    look = Step(typed="otrsd search 'By alias'", said="… By alias …\n", is_a_look=True)
    follow(away_from_home, look)


@pytest.mark.timeout(120)
def test_doctor_tells_that_the_mta_brings_nothing(away_from_home: Machine):
    typed = "postconf -e 'transport_maps ='; postfix reload"
    assert away_from_home.run(typed).code == 0
    done = away_from_home.run("otrsd doctor --mta --timeout 3")
    assert done.code == 1
    assert "a mail to support@example.com is no ticket after 3 s" in done.text
    assert "try: mailq; journalctl -u postfix" in done.text
