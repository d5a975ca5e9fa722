"""How a receiver's listening sockets pass to the next one: no connection is lost.

A reload starts the new receiver while the old one still listens. The new one asks at
``<state>/receiver.sock`` and gets the very sockets (unix(7), SCM_RIGHTS): what waits
in the kernel's queue is answered by whichever of the two accepts it. Only a process of
the same user gets them. In: names; out: sockets by name, none where nobody answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: Seconds for asking; the other one may be busy with a large mail.
_PATIENCE = 5.0
_MOST_SOCKETS = 32
_LONGEST = 16 * 1024
_PEERCRED = struct.Struct("3i")


class Heirloom:
    """The sockets that one receiver takes over, and those it hands on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: dict[str, list[socket.socket]] = {}
        self._offered: dict[str, list[int]] = {}
        self._door: socket.socket | None = None
        #: Whether somebody has taken them over: what is listened on stays in use.
        self.handed_on = False

    def ask(self) -> None:
        """Take over what a living receiver has."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(_PATIENCE)
            try:
                with _short(self._path) as path:
                    asking.connect(path)
                text, numbers, _, _ = socket.recv_fds(asking, _LONGEST, _MOST_SOCKETS)
            except OSError:
                return
        names = json.loads(text) if text else []
        for name, number in zip(names, numbers, strict=False):
            self._taken.setdefault(name, []).append(socket.socket(fileno=number))

    def take(self, name: str) -> Sequence[socket.socket]:
        """Return the sockets of ``name``; none if there was no predecessor."""
        return self._taken.pop(name, ())

    def offer(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Note what a successor may have."""
        self._offered[name] = [each.fileno() for each in sockets]

    def open_door(self) -> None:
        """Let a successor ask, from now on; close what was taken and not used."""
        for sockets in self._taken.values():
            for each in sockets:
                each.close()
        self._taken.clear()
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            fresh.unlink()
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(fresh) as path:
            door.bind(path)
        fresh.chmod(0o600)
        door.listen()
        door.settimeout(0)
        fresh.replace(self._path)
        self._door = door
        asyncio.get_running_loop().add_reader(door.fileno(), self._answer)

    def close(self) -> None:
        """Answer no more; the path may be a successor's already."""
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door.fileno())
            self._door.close()
            self._door = None

    def _answer(self) -> None:
        door = self._door
        if door is None:
            return
        with suppress(OSError):
            asker, _ = door.accept()
            with asker:
                if _uid(asker) not in {0, os.geteuid()}:
                    return
                names = [name for name, found in self._offered.items() for _ in found]
                numbers = [n for found in self._offered.values() for n in found]
                asker.settimeout(1.0)
                socket.send_fds(asker, [json.dumps(names).encode()], numbers)
                self.handed_on = True


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a way to ``path`` that fits a unix address (some 100 octets)."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _uid(connection: socket.socket) -> int:
    packed = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size
    )
    uid: int = _PEERCRED.unpack(packed)[1]
    return uid
