"""The extractor: a child process that opens attachments, and may be killed for it.

``python -m otrsd.relay.extractor`` with a socket as stdin. It hears one article at a
time, a frame with ``[[path, kind], …]`` and a frame with the octets of the mail, and
answers each part in a frame of its own, ``[text, reason]``: what came before a
kill is not lost. Memory, CPU and files are limited by the kernel; it writes nothing
and talks to nobody else. It ends when the socket does.

:class:`Extractor` is the other end: it starts the child when there is something to
read, kills it where a part takes too long, and says why a part has no words.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from otrsd.clock import Clock
from otrsd.mime import words
from otrsd.mime.attachments import NoWordsError, words_of
from otrsd.mime.parts import read_part

#: Seconds that one article may take, wall clock and CPU.
SECONDS = 20
#: Octets of address space of the child.
MEMORY = 512 * 1024 * 1024
#: Children that one article may cost.
DEATHS = 3
#: Articles that one child reads before a fresh one takes over.
ARTICLES = 200
_FILES = 64
_LENGTH = struct.Struct("!Q")
#: Octets that the child answers for one part at most.
_ANSWER = 16 * words.PART_CHARACTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a part says, or why it says nothing."""

    path: str
    text: str = ""
    reason: str = ""


class _GoneError(Exception):
    """The child died or took too long; the text says which."""


class Extractor:
    """Keeps the child; used by one thread."""

    def __init__(self, clock: Clock, seconds: float = SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._read = 0

    def words(self, content: bytes, parts: Sequence[tuple[str, str]]) -> list[Words]:
        """Return the words of these parts (path, kind) of a mail; never raises."""
        found: list[Words] = []
        for _ in range(DEATHS):
            left = parts[len(found) :]
            if not left:
                return found
            try:
                for each in self._ask(content, left):
                    found.append(each)  # noqa: PERF402 - what came before a death counts
            except _GoneError as error:
                self.close()
                found.append(Words(path=parts[len(found)][0], reason=str(error)))
        return found + [
            Words(path=path, reason="not tried: other parts killed the extractor")
            for path, _ in parts[len(found) :]
        ]

    def close(self) -> None:
        """End the child."""
        if self._socket is not None:
            self._socket.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = self._socket = None

    def _ask(self, content: bytes, parts: Sequence[tuple[str, str]]) -> Iterator[Words]:
        until = self._clock.monotonic() + self._seconds
        line = self._started()
        try:
            for frame in (json.dumps(parts).encode(), content):
                line.settimeout(self._left(until))
                line.sendall(_LENGTH.pack(len(frame)) + frame)
            for path, _ in parts:
                line.settimeout(self._left(until))
                text, reason = json.loads(_receive(line, _ANSWER))
                yield Words(path=path, text=str(text), reason=str(reason))
        except TimeoutError:
            raise _GoneError(f"it took more than {self._seconds:g} seconds") from None
        except (OSError, EOFError, ValueError, TypeError):
            raise _GoneError(self._epitaph()) from None
        self._read += 1
        if self._read >= ARTICLES:
            self.close()

    def _left(self, until: float) -> float:
        left = until - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _epitaph(self) -> str:
        """Say how the child died."""
        if self._child is None:
            return "the extractor is gone"
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(1)
        code = self._child.returncode
        if code == -signal.SIGXCPU:
            return f"it took more than {SECONDS} seconds of CPU"
        if code is not None and code < 0:
            return f"the extractor died of signal {-code}"
        return f"the extractor ended with {code}"

    def _started(self) -> socket.socket:
        if self._child is not None and self._child.poll() is not None:
            # Killed while it waited: no part of this article did that.
            self.close()
        if self._socket is not None:
            return self._socket
        ours, theirs = socket.socketpair()
        # Nothing of our environment is its business: there are credentials in it.
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "PYTHONPATH"}}
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "otrsd.relay.extractor"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=kept,
                cwd="/",
                start_new_session=True,
            )
        finally:
            theirs.close()
        self._socket, self._read = ours, 0
        return ours


def _receive(line: socket.socket, most: int) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(line, _LENGTH.size))
    if length > most:
        raise ValueError(length)
    return bytes(_exactly(line, length))


def _exactly(line: socket.socket, length: int) -> bytearray:
    found = bytearray(length)
    at = memoryview(found)
    while at:
        n = line.recv_into(at)
        if not n:
            raise EOFError
        at = at[n:]
    return found


def main() -> None:
    """Be the child."""
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    with suppress(OSError):
        os.nice(10)
    line = socket.socket(fileno=0)
    with suppress(EOFError, ConnectionError):
        while True:
            parts = json.loads(_receive(line, 1 << 20))
            content = _receive(line, 1 << 30)
            used = resource.getrusage(resource.RUSAGE_SELF)
            soft = int(used.ru_utime + used.ru_stime) + SECONDS
            _, hard = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
            for path, kind in parts:
                frame = json.dumps(_words(content, path, kind)).encode()
                line.sendall(_LENGTH.pack(len(frame)) + frame)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def _words(content: bytes, path: str, kind: str) -> tuple[str, str]:
    text = reason = ""
    try:
        octets = bytearray()
        for chunk in read_part(content, path):
            octets += chunk
            if len(octets) > words.PART_OCTETS:
                break
        text = words_of(kind, bytes(octets))
    except NoWordsError as error:
        reason = str(error)
    except MemoryError:
        reason = f"it needs more than {MEMORY >> 20} MiB"
    except RecursionError:
        reason = "it is nested too deeply"
    except Exception as error:  # noqa: BLE001 - whatever a stranger's file does
        reason = f"it can't be read: {type(error).__name__}: {error}"[:200]
    return text, reason


if __name__ == "__main__":
    main()
