"""A site behind a real Postfix; the daemon has a user of its own, as on a server.

Everything lies in one folder below /tmp that lets others through (pytest's own does
not, and Postfix runs the alias as ``nobody``), on ports of its own. At the end no
process of it may be left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.site import ROOT, Daemon, Site, composed, free_ports
from bench.waiting import until
from otrsd.model.article import Article
from otrsd.model.envelope import Envelope
from otrsd.model.ticket import Ticket
from otrsd.store import articles, tickets
from tests.conftest import missing
from tests.neighbours.postfix import Neighbourhood, Postfix, running
from tests.neighbours.smarthost import Smarthost

#: Program → Debian's package.
PROGRAMS = {
    "postfix": "postfix",
    "smtp-sink": "postfix",
    "smtp-source": "postfix",
    "swaks": "swaks",
    "msmtp": "msmtp",
    "setpriv": "util-linux",
}
#: Whom the daemon runs as; pipe(8) refuses root.
USER = "daemon"
KIM = "kim@customer.example"
_SITE = """\
site: {{name: Example Support, timezone: UTC, default_queue: support}}
queues:
  support: {{address: support@example.com, auto_response: received}}
  help: {{address: help@example.com}}
  orders: {{address: orders@example.com}}
  desk: {{address: desk@tickets.example.com}}
listen:
  lmtp: {{address: 127.0.0.1, port: {lmtp}}}
send: {{host: 127.0.0.1, port: {relay}, tls: none, hostname: tickets.example.com}}
spool: {{min_free: 1}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A ticket with its articles."""

    ticket: Ticket
    articles: tuple[Article, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The site and its neighbours."""

    site: Site
    daemon: Daemon
    postfix: Postfix
    smarthost: Smarthost

    def cases(self) -> tuple[Case, ...]:
        """Return all tickets, oldest first."""
        with composed(self.site) as app, app.database.read() as connection:
            found = tickets.read(connection, tickets.TICKETS.order_by("id"))
            return tuple(
                Case(
                    ticket=each,
                    articles=tuple(articles.of_ticket(connection, each.id)),
                )
                for each in found
            )

    def case(self, title: str, size: int = 1) -> Case:
        """Wait for the ticket of this title to have ``size`` articles."""

        def found() -> list[Case]:
            named = [each for each in self.cases() if each.ticket.title == title]
            return [each for each in named if len(each.articles) >= size]

        return until(f"a ticket '{title}' of {size} articles", found)[-1]

    def envelope(self, title: str) -> Envelope:
        """Return the envelope of the mail that made a ticket."""
        first = self.case(title).articles[0]
        with composed(self.site) as app, app.database.read() as connection:
            stored = articles.envelope_of(connection, first.spool_id)
        assert stored is not None
        return Envelope.from_json(stored)

    def swaks(self, to: str, subject: str, *options: str, sender: str = KIM) -> None:
        """Send a mail through Postfix with swaks."""
        server = f"127.0.0.1:{self.postfix.port}"
        words = ["--server", server, "--from", sender, "--to", to, "--silent", "2"]
        said = ["--h-From", f"Kim <{KIM}>", "--h-Subject", subject, "--body", "Hello."]
        _run(["swaks", *words, *said, *options])

    def msmtp(self, to: str, mail: str, *, sender: str) -> None:
        """Send a mail, as it is, through Postfix with msmtp."""
        server = ["--host=127.0.0.1", f"--port={self.postfix.port}", "--tls=off"]
        _run(["msmtp", *server, "--auth=off", f"--from={sender}", "--", to], mail)


@pytest.fixture(scope="session")
def needed() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can start a Postfix")
    with pytest.MonkeyPatch.context() as patch:
        # Not every root has the folder of Postfix' programs in his PATH.
        patch.setenv("PATH", "/usr/sbin", prepend=":")
        for program, package in PROGRAMS.items():
            if shutil.which(program) is None:
                missing(f"no {program} on this machine (Debian's package {package})")
        yield


@pytest.fixture(scope="session")
def place(needed: None) -> Iterator[Path]:
    """Give a folder that everybody may enter; nothing may run in it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="otrsd-neighbours-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    until("all processes end", lambda: not _left(folder), seconds=15)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def command(place: Path) -> Path:
    """Install ``otrsd pipe`` where ``nobody`` can run it, and return the command."""
    usual = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    question = "import sys, venv; sys.exit(sys.version_info < (3, 11))"
    for python in filter(None, (sys.executable, usual)):
        if _runs(python, question, "nobody"):
            break
    else:
        missing("no Python 3.11 or newer that the user nobody may run")
    _run([python, "-m", "venv", "--without-pip", str(place / "venv")])
    (library,) = (place / "venv" / "lib").glob("python3.*/site-packages")
    # The pipe imports nothing else of ours.
    shutil.copytree(ROOT / "otrsd" / "pipe", library / "otrsd" / "pipe")
    shutil.copy(ROOT / "otrsd" / "__init__.py", library / "otrsd")
    installed = place / "venv" / "bin" / "otrsd"
    text = (ROOT / "scripts" / "otrsd").read_text("utf-8")
    first, _, rest = text.partition("\n")
    assert first == "#!python"
    installed.write_text(f"#!{place}/venv/bin/python\n{rest}", "utf-8")
    for path in (installed, *library.rglob("*")):
        path.chmod(0o755)
    return installed


@pytest.fixture(scope="session")
def world(place: Path, command: Path) -> Iterator[House]:
    port, lmtp, relay = free_ports(3)
    folder = place / "site"
    folder.mkdir()
    shutil.chown(folder, USER, USER)
    (folder / "otrsd.yaml").write_text(_SITE.format(lmtp=lmtp, relay=relay), "utf-8")
    site = Site(folder=folder, smtp=0, lmtp=lmtp)
    around = Neighbourhood(
        port=port, lmtp=lmtp, relay=relay, command=command, site=folder, user=USER
    )
    with ExitStack() as stack:
        smarthost = Smarthost(place / "sent", relay)
        stack.enter_context(smarthost.running())
        postfix = stack.enter_context(running(Postfix(place / "postfix", around)))
        daemon = Daemon(site, command=_as_user(USER), environ={"PYTHONPATH": str(ROOT)})
        stack.callback(daemon.kill)
        yield House(site=site, daemon=daemon, postfix=postfix, smarthost=smarthost)


@pytest.fixture
def house(world: House) -> House:
    """Give the site with its daemon up and nothing left over in Postfix."""
    if not world.daemon.pid:
        world.daemon.start()
    world.postfix.flush()
    until("Postfix has delivered everything", lambda: not world.postfix.waiting())
    return world


@contextmanager
def away(house: House) -> Iterator[None]:
    """Stop the daemon inside the block."""
    assert house.daemon.stop() == 0
    try:
        yield
    finally:
        house.daemon.start()


def _as_user(user: str) -> Sequence[str]:
    """Return the command that runs this checkout's otrsd as somebody else."""
    own = (sys.executable, str(ROOT / "scripts" / "otrsd"))
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    if not _runs(sys.executable, "import otrsd.app", user, PYTHONPATH=str(ROOT)):
        # A Python below /root: the user may read everything then, and write no more
        # than he may anyway.
        may = "-all,+dac_read_search"
        drop += [f"--inh-caps={may}", f"--ambient-caps={may}"]
    return (*drop, "--", *own)


def _runs(python: str, code: str, user: str, **environ: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", code],
            check=False,
            user=user,
            group=user if user != "nobody" else "nogroup",
            extra_groups=[],
            cwd="/",
            env={"PATH": os.defpath, **environ},
            capture_output=True,
        )
    except OSError:
        return False
    return done.returncode == 0


def _run(command: Sequence[str], given: str = "") -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, input=given, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _left(folder: Path) -> list[str]:
    """Return the processes that work in ``folder``, or were started with its name."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(process / "cwd")  # noqa: PTH115 - not resolved further
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in where or str(folder) in words:
            found.append(f"{process.name}: {words}")
    return found
