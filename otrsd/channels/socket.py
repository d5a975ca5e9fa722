"""The submit socket: where ``otrsd pipe`` hands a mail over that it may not write.

In: one frame (:mod:`otrsd.channels.frame`) per connection, from any local user; out:
one line, an exit code of sysexits.h and a text: ``0 <id>`` only after the mail is on
stable storage, ``69 5.3.4 …``, ``75 4.x.y …``. All contents in hand share one budget
of memory; a client waits for its share as long as its time allows. Who it was is
asked from the kernel and stands in the envelope's ``peer`` as ``uid:N``; the id is
always ours.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import structlog

from otrsd.channels.frame import END, MAX_HEADER, Header, read_header
from otrsd.channels.heirloom import Heirloom
from otrsd.channels.intake import Intake
from otrsd.channels.limits import Budget
from otrsd.clock import Clock
from otrsd.errors import InputError, SpoolFullError, TemporaryError

MAX_CONNECTIONS = 50
#: Seconds from connecting to the answer.
MAX_SECONDS = 60.0
_STOP_SECONDS = 10.0
#: Seconds a client has for reading the answer and hanging up.
_LINGER_SECONDS = 10.0
_READ = 256 * 1024
_PEERCRED = struct.Struct("3i")


class _Refused(Exception):  # noqa: N818 - an answer
    """Ends the connection with an answer line."""


class SubmitSocket:
    """Answers the connections of one socket."""

    def __init__(
        self,
        intake: Intake,
        clock: Clock,
        *,
        max_size: int,
        budget: Budget | None = None,
        max_seconds: float = MAX_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._intake = intake
        self._clock = clock
        self._max_size = max_size
        self._budget = budget or Budget.for_sizes([max_size])
        self._freed = asyncio.Condition()
        self._max_seconds = max_seconds
        self._max_connections = max_connections
        self._open = 0

    @asynccontextmanager
    async def listening(
        self, path: Path, heirloom: Heirloom | None = None
    ) -> AsyncIterator[None]:
        """Listen on ``path`` inside the block; any local user may connect."""
        heirloom = heirloom or Heirloom(path.with_name("receiver.sock"))
        name = f"submit {path}"
        inherited = heirloom.take(name)
        listener = inherited[0] if inherited else _bind(path)
        listener.settimeout(0)
        heirloom.offer(name, [listener])
        server = await asyncio.start_unix_server(
            self._answer, sock=listener, limit=MAX_HEADER
        )
        try:
            yield
        finally:
            server.close()
            # Whoever has no answer by then gets none, and tries again.
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await server.wait_closed()
            if not heirloom.handed_on:
                _unlink(path)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open += 1
        peer = _peer(writer)
        try:
            async with asyncio.timeout(self._max_seconds):
                line = await self._take(reader, peer)
        except TimeoutError:
            line = f"75 4.4.2 not done after {self._max_seconds:.0f} s"
        except _Refused as refused:
            line = str(refused)
        except (OSError, asyncio.IncompleteReadError):
            line = "75 4.4.2 the connection broke off"
        finally:
            self._open -= 1
        if not line.startswith("0 "):
            structlog.get_logger().warning(
                "mail.rejected", channel="socket", peer=peer, reply=line
            )
        await _hang_up(reader, writer, line)

    async def _take(self, reader: asyncio.StreamReader, peer: str) -> str:
        if self._open > self._max_connections:
            raise _Refused("75 4.3.2 too many connections; try again later")
        header = await self._header(reader)
        async with self._share(header.size):
            return await self._store(reader, header, peer)

    @asynccontextmanager
    async def _share(self, octets: int) -> AsyncIterator[None]:
        """Hold ``octets`` of the budget inside the block; wait until they are free."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._budget.take(octets))
        try:
            yield
        finally:
            self._budget.give(octets)
            async with self._freed:
                self._freed.notify_all()

    async def _store(
        self, reader: asyncio.StreamReader, header: Header, peer: str
    ) -> str:
        chunks = await _content(reader, header)
        envelope = replace(
            header.envelope,
            channel="socket",
            peer=peer,
            trusted=False,
            received_at=self._clock.now(),
        )
        try:
            spool_id = await self._intake.accept(envelope, chunks)
        except SpoolFullError:
            raise _Refused("75 4.3.1 no room for mail now; try again later") from None
        except TemporaryError:
            raise _Refused("75 4.3.0 can't be stored now; try again later") from None
        structlog.get_logger().info(
            "mail.stored",
            mail_id=spool_id,
            channel="socket",
            peer=peer,
            mail_from=envelope.mail_from,
            size=header.size,
        )
        return f"0 {spool_id}"

    async def _header(self, reader: asyncio.StreamReader) -> Header:
        try:
            header = read_header(await reader.readline())
        except (InputError, ValueError) as error:
            raise _Refused(f"75 4.5.2 not understood: {error}") from None
        if header.size > self._max_size:
            raise _Refused(f"69 5.3.4 the mail is larger than {self._max_size} octets")
        if header.size == 0:
            raise _Refused("65 5.6.0 the mail is empty")
        return header


async def _content(reader: asyncio.StreamReader, header: Header) -> list[bytes]:
    digest = sha256()
    chunks: list[bytes] = []
    left = header.size
    while left and (chunk := await reader.read(min(_READ, left))):
        digest.update(chunk)
        chunks.append(chunk)
        left -= len(chunk)
    if left or await reader.readexactly(len(END)) != END:
        raise _Refused("75 4.5.2 the mail was cut off")
    if digest.hexdigest() != header.sha256:
        raise _Refused("75 4.5.2 the mail has another sha256 than its header says")
    return chunks


async def _hang_up(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str
) -> None:
    text = "".join(c if c.isprintable() else "?" for c in line)
    # The client may be gone; it will have to try again then.
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            writer.write(text.encode("utf-8", "replace") + b"\n")
            writer.write_eof()
            # A socket closed over unread octets throws our answer away.
            while await reader.read(_READ):
                pass
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _bind(path: Path) -> socket.socket:
    """Return a bound socket; one that nobody listens on any more is replaced."""
    _unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A unix address holds some 100 octets; Linux offers a short way to long ones.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o666)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _peer(writer: asyncio.StreamWriter) -> str:
    connection = writer.get_extra_info("socket")
    packed = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size
    )
    return f"uid:{_PEERCRED.unpack(packed)[1]}"
