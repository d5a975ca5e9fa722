"""What supervisor and template say to each other: one JSON object a line.

Supervisor → template: :class:`Start`, :class:`Stop`, :class:`Kill`.
Template → supervisor: :class:`Loaded` or :class:`Refused`, :class:`Started`,
:class:`Died`. The end of the stream is a message too: the other side is dead.
A line that can't be read raises ``ValueError``: both ends are the same program.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass

from otrsd.control import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLine:
    """What the supervisor knows of a role: no code, only its place in the order."""

    name: str
    #: Roles with a lower rank are started before those with a higher one.
    start: int
    #: Roles with a lower rank are stopped before those with a higher one.
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Fork the child ``name`` into slot ``slot``."""

    name: str
    slot: int
    #: What its dead predecessor had in hand.
    predecessor: Work | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ask the child to finish what it has in hand and to end."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End the child at once (SIGKILL)."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The template has imported everything and can fork these roles."""

    roles: tuple[RoleLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The template could not load: text for a person, and an exit code."""

    text: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The child has been forked."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """The child has ended; ``code`` as ``os.waitstatus_to_exitcode`` gives it."""

    name: str
    pid: int
    code: int
    #: Why, in its own words; empty where it had none.
    said: str = ""


Message = Start | Stop | Kill | Loaded | Refused | Started | Died

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Start, Stop, Kill, Loaded, Refused, Started, Died)
}


class Wire:
    """One end of the stream between the two."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._rest = b""
        #: Whether the other side is gone.
        self.ended = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end; the other side reads the end of the stream."""
        self._socket.close()

    def send(self, message: Message) -> None:
        """Send one message; if the other side is gone, only ``ended`` tells."""
        line = {"kind": type(message).__name__, **asdict(message)}
        try:
            self._socket.sendall(json.dumps(line).encode() + b"\n")
        except OSError:
            self.ended = True

    def receive(self) -> list[Message]:
        """Return what has arrived since the last call; never waits."""
        lines = (self._rest + self._arrived()).split(b"\n")
        self._rest = lines.pop()
        return [_read(line) for line in lines]

    def _arrived(self) -> bytes:
        arrived = b""
        while not self.ended:
            try:
                piece = self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            self.ended = not piece
            arrived += piece
        return arrived


def wires() -> tuple[Wire, Wire]:
    """Return the two ends of a new stream."""
    left, right = socket.socketpair()
    return Wire(left), Wire(right)


def _read(line: bytes) -> Message:
    fields = json.loads(line)
    kind = _KINDS[fields.pop("kind")]
    if fields.get("predecessor"):
        fields["predecessor"] = Work(**fields["predecessor"])
    if kind is Loaded:
        fields["roles"] = tuple(RoleLine(**role) for role in fields["roles"])
    return kind(**fields)
