"""A real site and a real daemon: everything by the command, on ports of its own."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 40.0


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Site:
    """A site made by ``otrsd init``, with free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "var"
        #: The command as another program calls it.
        self.command = f"env PYTHONPATH={ROOT} {sys.executable} {ROOT}/scripts/otrsd"
        self._daemon: subprocess.Popen[bytes] | None = None
        made = self.otrsd(
            "init", str(folder), "--address", "help@acme.test", here=False
        )
        assert made.returncode == 0, made.stderr
        self.smtp, self.lmtp, self.health = free_ports(3)
        text = (folder / "otrsd.yaml").read_text()
        for old, new in ((8025, self.smtp), (8024, self.lmtp), (8026, self.health)):
            text = text.replace(str(old), str(new))
        (folder / "otrsd.yaml").write_text(text + "workers: 2\n")

    def otrsd(
        self, *arguments: str, stdin: str = "", here: bool = True, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of this site."""
        named = ["-c", str(self.folder)] if here and arguments[0] != "pipe" else []
        return subprocess.run(
            [sys.executable, ROOT / "scripts/otrsd", *named, *arguments],
            input=stdin,
            text=True,
            capture_output=True,
            env=self.environ(environ),
            timeout=120,
            check=False,
        )

    def environ(self, more: dict[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OTRSD_")}
        return {**kept, "PYTHONPATH": str(ROOT), **more}

    def start(self, *arguments: str, **environ: str) -> int:
        """Start the daemon and wait until it is ready; return its process id."""
        before = (
            len(self.events("daemon.ready")) if (self.folder / "log").exists() else 0
        )
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    *(sys.executable, ROOT / "scripts/otrsd", "-c", self.folder),
                    *("run", *arguments),
                ],
                stderr=log,
                env=self.environ({"OTRSD_LOG": "json", **environ}),
            )
        self.until(
            lambda: len(self.events("daemon.ready")) > before or not self.is_running()
        )
        return self._daemon.pid

    def is_running(self) -> bool:
        """Tell whether the daemon has not ended by itself."""
        return self._daemon is not None and self._daemon.poll() is None

    def stop(self) -> int:
        """Stop the daemon; return its exit code."""
        assert self._daemon
        self._daemon.send_signal(signal.SIGTERM)
        code = self._daemon.wait(PATIENCE)
        self._daemon = None
        return code

    def clean_up(self) -> None:
        if self._daemon is not None:
            self.stop()

    def log(self) -> list[dict[str, Any]]:
        lines = (self.folder / "log").read_bytes().splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == name]

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, self.log()[-20:]
            threading.Event().wait(0.05)

    def send(self, subject: str, to: str = "help@acme.test") -> None:
        """Send one mail by SMTP."""
        with closing(smtplib.SMTP("127.0.0.1", self.smtp, timeout=20)) as client:
            client.sendmail(
                "me@example.org",
                [to],
                f"From: me@example.org\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHi\r\n",
            )

    def titles(self) -> list[str]:
        """Return the titles of all tickets."""
        listed = self.otrsd("ticket", "list", "-n", "10000", "--json")
        assert listed.returncode == 0, listed.stderr
        return [ticket["title"] for ticket in json.loads(listed.stdout)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "desk")
    yield made
    made.clean_up()
