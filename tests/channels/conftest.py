"""A receiver on free loopback ports, and clients that speak raw octets."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bench.mailbox import Box
from bench.mailserver import serving
from otrsd.channels.limits import Limits, limits_of
from otrsd.channels.receiver import Receiver, new_loop
from otrsd.channels.recipients import Recipients
from otrsd.clock import SystemClock
from otrsd.config.models import Config, Listen, Listener, Queue, Site
from otrsd.control import Work
from otrsd.model.envelope import Envelope
from tests.channels.fetching import WAYS, Visitor

#: Trusted peers of the tests come from here, strangers from the other.
LOCAL, STRANGER = "127.0.0.1", "127.0.0.2"


class Kept:
    """An intake that keeps mails in memory; fails as it is told."""

    def __init__(self) -> None:
        self.mails: list[tuple[Envelope, bytes]] = []
        self.pieces: list[int] = []
        self.failure: BaseException | None = None
        self.hold: asyncio.Event | None = None
        self.entered = asyncio.Event()

    async def accept(self, envelope: Envelope, chunks: Sequence[bytes]) -> str:
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        self.mails.append((envelope, b"".join(chunks)))
        self.pieces = [len(chunk) for chunk in chunks]
        return f"ID{len(self.mails)}"


@dataclass
class Events:
    """A log that is a list."""

    seen: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **fields: object) -> None:
        self.seen.append((event, fields))

    warning = error = info

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.seen if event == name]


class Pipe:
    """A control whose stop is one octet in a pipe."""

    name = "receiver"

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.is_ready = asyncio.Event()

    def fileno(self) -> int:
        return self._read

    def stopping(self) -> bool:
        return False

    def wait(self, _seconds: float) -> bool:
        return False

    def ready(self) -> None:
        self.is_ready.set()

    def note(self, work: Work) -> None:
        pass

    def stop(self) -> None:
        os.write(self._write, b"x")

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class Client:
    """One connection that sends octets and reads replies."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader, self.writer = reader, writer

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def reply(self) -> str:
        """Return the next reply; its last line where it has several."""
        while True:
            line = (await self.reader.readline()).decode()
            if line[3:4] != "-":
                return line.rstrip("\r\n")

    async def say(self, *commands: str) -> str:
        """Send commands one by one; return the last reply."""
        reply = ""
        for command in commands:
            self.send(f"{command}\r\n".encode())
            reply = await self.reply()
        return reply

    async def mail(self, content: bytes, hello: str = "EHLO c.example") -> str:
        """Send one mail to the support queue, dots as they are."""
        await self.say(
            hello,
            "MAIL FROM:<a@b.example>",
            "RCPT TO:<support@desk.example>",
            "DATA",
        )
        self.send(content)
        return await self.reply()

    async def rest(self) -> str:
        """Return all that still comes until the server closes."""
        with suppress(ConnectionError):
            return (await self.reader.read()).decode()
        return ""

    def reset(self) -> None:
        """Go away with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class House:
    """A running receiver and what a test looks at."""

    ports: dict[str, int]
    kept: Kept
    events: Events
    control: Pipe
    clients: list[Client] = field(default_factory=list)

    async def connect(
        self, channel: str = "smtp", *, peer: str = STRANGER, greet: bool = True
    ) -> Client:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.ports[channel], local_addr=(peer, 0), limit=2**20
        )
        client = Client(reader, writer)
        self.clients.append(client)
        if greet:
            await client.reply()
        return client


def desk_config(**site: str) -> Config:
    return Config(
        site=Site(**site),
        queues={
            "support": Queue(address=("support@desk.example", "Help@Desk.example")),
            "odd": Queue(address=("o'neil/ops@other.example",)),
        },
        root=Path(),
        state=Path("var"),
    )


@asynccontextmanager
async def _running(
    limits: dict[str, Any], listener: dict[str, Any], config: Config
) -> AsyncIterator[House]:
    def changed(of: Listener) -> Limits:
        return replace(limits_of(of), **limits)

    way_in = Listener(**{"port": 0, "trusted_cidr": (f"{LOCAL}/32",), **listener})
    control, kept, events = Pipe(), Kept(), Events()
    receiver = Receiver(
        listen=Listen(smtp=way_in, lmtp=way_in),
        recipients=Recipients(config),
        intake=kept,
        control=control,
        clock=SystemClock(),
        log=events,
        hostname="desk.example",
        limits=changed,
    )
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(receiver.serve())
        await control.is_ready.wait()
        ports = {
            str(o["channel"]): int(str(o["port"]))
            for o in events.named("listener.open")
        }
        house = House(ports, kept, events, control)
        try:
            yield house
        finally:
            if house.kept.hold is not None:
                house.kept.hold.set()
            control.stop()
            for client in house.clients:
                client.writer.close()
            await serving
            control.close()


#: Type of the fixture below.
Visit = Callable[..., None]


@pytest.fixture
def visit() -> Visit:
    """Run ``story(house)`` against a receiver; further arguments change limits."""

    def run(
        story: Callable[[House], Awaitable[None]] | None,
        *,
        listener: dict[str, Any] | None = None,
        config: Config | None = None,
        **limits: Any,
    ) -> None:
        async def play() -> None:
            async with _running(
                limits, listener or {}, config or desk_config()
            ) as house:
                if story is not None:
                    await story(house)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(asyncio.wait_for(play(), 60))

    return run


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.socket() as tried:
        tried.bind((LOCAL, 0))
        port: int = tried.getsockname()[1]
        return port


#: Makes a visitor of a mailbox that is reached in one of the WAYS.
Reach = Callable[..., Visitor]


@pytest.fixture
def reach(tmp_path: Path) -> Iterator[Reach]:
    with ExitStack() as stack:

        def make(way: str, *contents: bytes, **settings: Any) -> Visitor:
            protocol, capabilities, more = WAYS[way]
            box = Box()
            box.capabilities = f"IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 IDLE {capabilities}"
            box.has_uidl = capabilities != "no-uidl"
            box.deliver(*contents)
            port = stack.enter_context(serving(box, protocol))
            settings = {"protocol": protocol, "port": port, **more, **settings}
            folder = tmp_path / f"{way}{port}"
            folder.mkdir()
            return Visitor(folder, box, settings)

        yield make
