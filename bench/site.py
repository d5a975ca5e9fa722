"""A throw-away site of the repository's own configuration, and a daemon that runs it.

In: a folder; out: an ``otrsd.yaml`` on free loopback ports that includes the
repository's ``config/`` and ``plugins/``, and :class:`Daemon` to start, stop and kill
``otrsd run`` on it. What the daemon prints stands in ``daemon.log`` of the folder.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.waiting import CLOCK, NotInTimeError, until
from otrsd.app import App, load
from otrsd.daemon import status
from otrsd.errors import OtrsdError

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
OTRSD = (str(BIN / "otrsd"),)
#: Seconds that a start and an ordered stop may take.
START_SECONDS, STOP_SECONDS = 30.0, 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a site has beside, or instead of, the repository's own settings."""

    workers: int = 0
    max_size: str = "25MB"
    database: str = ""
    #: YAML of a last file in ``config/``.
    more: str = ""
    #: File name → text of further plugins.
    plugins: Mapping[str, str] | None = None
    min_free: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a site lies and listens."""

    folder: Path
    smtp: int
    lmtp: int

    @property
    def config(self) -> Path:
        """Return the path of its otrsd.yaml."""
        return self.folder / "otrsd.yaml"

    @property
    def state(self) -> Path:
        """Return the daemon's folder."""
        return self.folder / "var"

    @property
    def log(self) -> Path:
        """Return what the daemon has printed."""
        return self.folder / "daemon.log"

    def app(self) -> App:
        """Return the site composed in this process; the caller closes it."""
        return load(self.config, {}, CLOCK)


def make_site(folder: Path, wishes: Wishes | None = None) -> Site:
    """Lay out a site in ``folder``."""
    wishes = wishes or Wishes()
    smtp, lmtp = free_ports(2)
    for name in ("config", "plugins"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (ROOT / name).iterdir():
            if path.suffix in {".py", ".yaml"}:
                (folder / name / path.name).symlink_to(path)
    if wishes.more:
        (folder / "config" / "95-more.yaml").write_text(wishes.more, "utf-8")
    for name, text in (wishes.plugins or {}).items():
        (folder / "plugins" / name).write_text(text, "utf-8")
    database = f'\n  database: "{wishes.database}"' if wishes.database else ""
    text = f"""site:
  name: Measured
  timezone: Europe/Berlin
  default_queue: support{database}
listen:
  smtp: {{address: 127.0.0.1, port: {smtp}, max_size: {wishes.max_size}}}
  lmtp: {{address: 127.0.0.1, port: {lmtp}, max_size: {wishes.max_size}}}
spool: {{max_size: 2GB, min_free: {wishes.min_free}}}
workers: {wishes.workers}
include: [config/*.yaml]
"""
    (folder / "otrsd.yaml").write_text(text, "utf-8")
    return Site(folder=folder, smtp=smtp, lmtp=lmtp)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback on which nobody listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Let what is started inside run on one core only; ``None``: on all."""
    if core is None or len(os.sched_getaffinity(0)) == 1:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[core % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Daemon:
    """``otrsd run`` on a site, in a session of its own."""

    def __init__(
        self,
        site: Site,
        *,
        environ: Mapping[str, str] | None = None,
        command: Sequence[str] = OTRSD,
        limit: Callable[[], None] | None = None,
    ) -> None:
        self.site = site
        self._environ = {**os.environ, **(environ or {})}
        self._command = [*command, "-c", str(site.config), "run"]
        self._limit = limit
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the supervisor's process id; 0 where none runs."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and wait until every role is ready."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start it without waiting."""
        with self.site.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                start_new_session=True,
                preexec_fn=self._limit,  # noqa: PLW1509 - this process has one thread
            )

    def await_ready(self) -> None:
        """Wait until the status says ready."""
        until("the daemon is ready", self._is_ready, seconds=START_SECONDS)

    def roles(self) -> dict[str, int]:
        """Return role → process id of those that live now."""
        seen = status.read(self.site.state)
        return (
            {each.name: each.pid for each in seen.processes if each.pid} if seen else {}
        )

    def stop(self) -> int:
        """Stop it in order; return its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise NotInTimeError("the daemon did not stop") from error
        finally:
            self.kill()

    def kill(self) -> None:
        """End the whole group at once with SIGKILL."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise NotInTimeError(f"the daemon ended with exit {code}:\n{self.tail()}")
        seen = status.read(self.site.state)
        return seen is not None and seen.state == "ready"

    def tail(self) -> str:
        """Return the end of what it has printed."""
        lines = self.site.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-25:])


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Start a daemon and see to it that nothing of it is left."""
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.kill()


@contextmanager
def composed(site: Site) -> Iterator[App]:
    """Give the site's parts, to be asked from outside the daemon."""
    app = site.app()
    try:
        yield app
    finally:
        with suppress(OtrsdError):
            app.close()
