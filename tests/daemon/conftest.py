"""A toy daemon as a real process; its log is the transcript the tests wait on."""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

TOY = Path(__file__).with_name("toy_daemon.py")
PATIENCE = 10.0


class ToyDaemon:
    """A running toy daemon."""

    def __init__(
        self, state: Path, stop_seconds: float, roles: tuple[str, ...]
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, TOY, state, str(stop_seconds), *roles],
            stderr=subprocess.PIPE,
        )
        self.pid = self._process.pid
        #: Every log line so far that the test has waited past.
        self.transcript: list[dict[str, Any]] = []
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            is_ours = line.startswith(b"{")
            self._lines.put(json.loads(line) if is_ours else {"event": str(line)})
        self._lines.put(None)

    def until(self, event: str, **fields: object) -> dict[str, Any]:
        """Read the log until a line has this event and these fields."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.transcript.append(line)
            if line["event"] == event and fields.items() <= line.items():
                return line
        raise AssertionError(f"{event} never came: {self.transcript}")

    def pids(self) -> dict[str, int]:
        """Return the children started so far by name."""
        started = [x for x in self.transcript if x["event"] == "child.started"]
        return {line["name"]: line["pid"] for line in started}

    def template(self) -> int:
        """Return the template's process id."""
        status = Path(f"/proc/{self.pids().popitem()[1]}/stat").read_text()
        return int(status.rsplit(")", 1)[1].split()[1])

    def send(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for the exit; return its code; the transcript is whole then."""
        code = self._process.wait(PATIENCE)
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.transcript.append(line)
        return code

    def stop(self) -> int:
        """SIGTERM, then :meth:`end`."""
        self.send(signal.SIGTERM)
        return self.end()

    def events(self, *names: str) -> list[str]:
        """Return ``event name`` of the transcript's lines with these events."""
        lines = [line for line in self.transcript if line["event"] in names]
        return [f"{x['event']} {x.get('name') or x.get('process')}" for x in lines]

    def clean_up(self) -> None:
        """Leave nothing behind, whatever the test did."""
        self._process.kill()
        self._process.wait()
        for pid in self.pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reader.join(PATIENCE)
        assert self._process.stderr
        self._process.stderr.close()


Start = Callable[..., ToyDaemon]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a toy daemon: ``start("receiver=waits", …, stop_seconds=5)``."""
    daemons = []

    def begin(*roles: str, stop_seconds: float = 15.0, ready: bool = True) -> ToyDaemon:
        daemon = ToyDaemon(tmp_path, stop_seconds, roles)
        daemons.append(daemon)
        if ready:
            daemon.until("daemon.ready")
        return daemon

    yield begin
    for daemon in daemons:
        daemon.clean_up()


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Tell whether a process ends within the patience of these tests."""

    def is_gone(pid: int) -> bool:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([descriptor], [], [], PATIENCE)[0])
        finally:
            os.close(descriptor)

    return is_gone
