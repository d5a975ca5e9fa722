"""An SMTP client that costs little: ten connections at a time, a new one for each mail.

Started as ``python -m bench.smtp_load PORT FILE [CONNECTIONS [CORE]]``, a process of
its own, so that its CPU is not the server's. It says ``ready``, waits for a line on
standard input, sends every mail of FILE (see ``bench.mails.save``) and prints one JSON
object: ``sent``, ``later`` (answers that asked for another try; each is tried again),
``refused`` (final answers), ``first`` and ``last`` (monotonic seconds), ``cpu``.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.waiting import CLOCK, NotInTimeError

_AT_ONCE = 10
_DIALOGUE = ("220", "250", "250", "250", "354", "250", "221")
_ANSWER_TO_CONTENT = 5


@dataclass(slots=True, kw_only=True)
class Talk:
    """One connection, from its greeting to its goodbye."""

    socket: socket.socket
    mail: tuple[bytes, ...]
    step: int = 0
    read: bytes = b""


@dataclass(slots=True)
class Load:
    """All mails, and what became of them."""

    port: int
    mails: deque[tuple[bytes, ...]]
    selector: selectors.BaseSelector = field(default_factory=selectors.EpollSelector)
    sent: int = 0
    later: int = 0
    refused: int = 0
    open: int = 0

    def run(self, at_once: int) -> dict[str, float]:
        """Send everything; return the figures."""
        first = CLOCK.monotonic()
        while self.mails or self.open:
            while self.mails and self.open < at_once:
                self._begin(self.mails.popleft())
            for key, _ in self.selector.select(30):
                self._hear(key.data)
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "sent": self.sent,
            "later": self.later,
            "refused": self.refused,
            "first": first,
            "last": CLOCK.monotonic(),
            "cpu": used.ru_utime + used.ru_stime,
        }

    def _begin(self, mail: tuple[bytes, ...]) -> None:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open += 1
        talk = Talk(socket=connection, mail=mail)
        self.selector.register(connection, selectors.EVENT_READ, talk)

    def _hear(self, talk: Talk) -> None:
        try:
            octets = talk.socket.recv(4096)
        except ConnectionError:
            octets = b""
        if not octets:
            self._end(talk, again=talk.step <= _ANSWER_TO_CONTENT)
            return
        talk.read += octets
        lines = talk.read.split(b"\r\n")
        # The last line of a reply has a blank behind its code.
        if lines[-1] or len(lines) < 2 or lines[-2][3:4] == b"-":
            return
        reply, talk.read = lines[-2], b""
        if reply[:3].decode() != _DIALOGUE[talk.step]:
            self._count(reply)
            self._end(talk, again=reply[:1] != b"5")
            return
        if talk.step == _ANSWER_TO_CONTENT:
            self.sent += 1
        if talk.step == len(_DIALOGUE) - 1:
            self._end(talk, again=False)
            return
        talk.socket.sendall(talk.mail[talk.step])
        talk.step += 1

    def _count(self, reply: bytes) -> None:
        if reply[:1] == b"5":
            self.refused += 1
            print(f"refused: {reply[:200]!r}", file=sys.stderr)
        else:
            self.later += 1

    def _end(self, talk: Talk, *, again: bool) -> None:
        self.selector.unregister(talk.socket)
        talk.socket.close()
        self.open -= 1
        if again:
            self.mails.append(talk.mail)


def on_the_wire(sender: str, recipient: str, content: bytes) -> tuple[bytes, ...]:
    """Return what a client says, reply by reply."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return (
        b"EHLO client.example\r\n",
        f"MAIL FROM:<{sender}>\r\n".encode(),
        f"RCPT TO:<{recipient}>\r\n".encode(),
        b"DATA\r\n",
        stuffed + b".\r\n",
        b"QUIT\r\n",
    )


class Client:
    """The process, seen from the one that measures."""

    def __init__(
        self, port: int, mails: Path, *, connections: int = _AT_ONCE, core: int = -1
    ) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.smtp_load"),
                *(str(port), str(mails), str(connections), str(core)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            text=True,
        )
        self._line()

    def go(self) -> None:
        """Let it begin."""
        if self._process.stdin is not None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def done(self) -> bool:
        """Tell whether it has ended."""
        return self._process.poll() is not None

    def figures(self) -> dict[str, Any]:
        """Wait for its end; return what it counted."""
        found: dict[str, Any] = json.loads(self._line())
        self._process.communicate()
        return found

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise NotInTimeError("the SMTP client has died; its words stand above")
        return line


def main(arguments: Sequence[str]) -> int:
    """Be the client process."""
    from bench import mails  # noqa: PLC0415 - Client alone needs no vocabulary

    port, path, connections, core = arguments
    cores = sorted(os.sched_getaffinity(0))
    if int(core) >= 0 and len(cores) > 1:
        os.sched_setaffinity(0, {cores[int(core) % len(cores)]})
    waiting = deque(
        on_the_wire(sender, recipient, content.encode("latin-1"))
        for sender, recipient, content in mails.read(Path(path))
    )
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(Load(int(port), waiting).run(int(connections))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
