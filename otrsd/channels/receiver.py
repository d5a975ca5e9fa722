"""The receiver role: opens the ways in, hands every mail to the intake, stops cleanly.

In: the configuration's listeners, the intake, the supervisor's :class:`Control`.
Out: nothing; it returns after a stop was asked for and every session has ended
(idle ones at once with 421, a running DATA within 25 s). Fails with
``ConfigError`` when a listener can't be opened, and with whatever ends a companion
(drop folder, submit socket): the supervisor then starts the role again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from otrsd.channels.admission import Admission
from otrsd.channels.entrance import Accepts, Entrance
from otrsd.channels.events import Log
from otrsd.channels.heirloom import Heirloom
from otrsd.channels.limits import Budget, Limits, limits_of
from otrsd.channels.lmtp import LmtpSession
from otrsd.channels.recipients import Recipients
from otrsd.channels.smtp import SmtpSession
from otrsd.clock import Clock
from otrsd.config.models import Listen, Listener
from otrsd.control import Control
from otrsd.counters import Counters
from otrsd.errors import ConfigError

#: A way in beside the listeners; runs until the event is set.
Companion = Callable[[asyncio.Event], Awaitable[None]]

_SESSIONS = {"smtp": SmtpSession, "lmtp": LmtpSession}
#: Connections that the kernel keeps for us while we are busy.
_BACKLOG = 512

_ADVICE = {
    errno.EADDRINUSE: (
        "another program has this port: `ss -ltnp 'sport = :{port}'` names it;"
        " stop it, or set another listen.{channel}.port"
    ),
    errno.EPERM: (
        "the systemd unit does not allow it: add SocketBindAllow=tcp:{port} to it,"
        " then `systemctl daemon-reload`, and start otrsd again"
    ),
    errno.EACCES: (
        "ports below 1024 need a right this user lacks; set a higher"
        " listen.{channel}.port, or give the unit CAP_NET_BIND_SERVICE"
    ),
    errno.EADDRNOTAVAIL: (
        "this machine does not have that address: `ip address` lists those it has;"
        " set listen.{channel}.address to one of them"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """All that the role is made of."""

    listen: Listen
    recipients: Recipients
    intake: Accepts
    control: Control
    clock: Clock
    log: Log
    #: Drop folder, submit socket.
    companions: Sequence[Companion] = ()
    #: Passes the listening sockets from one receiver to the next.
    heirloom: Heirloom | None = None
    counters: Counters = field(default_factory=Counters)
    #: Our name in greetings.
    hostname: str = ""
    #: Other numbers than the configuration's, for tests of time.
    limits: Callable[[Listener], Limits] = limits_of

    async def serve(self) -> None:
        """Open everything, say ready, run until stopped."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_reader(self.control.fileno(), stop.set)
        try:
            async with asyncio.TaskGroup() as group:
                await self._serve_in(group, stop)
        except ExceptionGroup as failed:
            # One cause is told as itself: its text is what the operator reads.
            if len(failed.exceptions) == 1:
                raise failed.exceptions[0] from failed
            raise
        finally:
            loop.remove_reader(self.control.fileno())

    async def _serve_in(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        listeners = {
            channel: listener
            for channel in _SESSIONS
            if (listener := getattr(self.listen, channel)) is not None
        }
        budget = Budget.for_listeners(listeners.values())
        entrances = [
            self._entrance(channel, listener, budget, group)
            for channel, listener in listeners.items()
        ]
        servers: list[asyncio.Server] = []
        try:
            for entrance, listener in zip(entrances, listeners.values(), strict=True):
                servers += await self._open(entrance, listener)
            for companion in self.companions:
                group.create_task(_as_coroutine(companion, stop))
            if self.heirloom is not None:
                self.heirloom.open_door()
            self.control.ready()
            await stop.wait()
        finally:
            if self.heirloom is not None:
                self.heirloom.close()
            for server in servers:
                server.close()
        await _drain(entrances)

    async def _open(
        self, entrance: Entrance, listener: Listener
    ) -> list[asyncio.Server]:
        name = f"{entrance.channel} {listener.address} {listener.port}"
        inherited = self.heirloom.take(name) if self.heirloom else ()
        servers = [await _listen(entrance, each) for each in inherited] or [
            await _open(entrance, listener)
        ]
        sockets = [each for server in servers for each in server.sockets]
        if self.heirloom is not None:
            self.heirloom.offer(name, sockets)
        for opened in sockets:
            address, port = opened.getsockname()[:2]
            entrance.log.info(
                "listener.open", channel=entrance.channel, address=address, port=port
            )
        return servers

    def _entrance(
        self,
        channel: str,
        listener: Listener,
        budget: Budget,
        group: asyncio.TaskGroup,
    ) -> Entrance:
        limits = self.limits(listener)
        return Entrance(
            counters=self.counters,
            channel=channel,
            hostname=self.hostname or socket.gethostname(),
            limits=limits,
            admission=Admission(listener, limits),
            budget=budget,
            recipients=self.recipients,
            intake=self.intake,
            clock=self.clock,
            log=self.log,
            loop=asyncio.get_running_loop(),
            group=group,
        )


async def _open(entrance: Entrance, listener: Listener) -> asyncio.Server:
    session = _SESSIONS[entrance.channel]
    try:
        server = await entrance.loop.create_server(
            lambda: session(entrance),
            listener.address,
            listener.port,
            backlog=_BACKLOG,
        )
    except OSError as error:
        place = f"listen.{entrance.channel} {listener.address}:{listener.port}"
        advice = _ADVICE.get(error.errno or 0, "check the address and the port")
        advice = advice.format(channel=entrance.channel, port=listener.port)
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(f"{place} can't be opened: {reason}; {advice}") from error
    return server


async def _listen(entrance: Entrance, inherited: socket.socket) -> asyncio.Server:
    session = _SESSIONS[entrance.channel]
    return await entrance.loop.create_server(
        lambda: session(entrance), sock=inherited, backlog=_BACKLOG
    )


async def _drain(entrances: Sequence[Entrance]) -> None:
    loop = asyncio.get_running_loop()
    deadlines = []
    for entrance in entrances:
        entrance.stop()
        deadlines.append(loop.call_later(entrance.limits.stop_seconds, entrance.abort))
    for entrance in entrances:
        await entrance.gone.wait()
    for deadline in deadlines:
        deadline.cancel()


async def _as_coroutine(companion: Companion, stop: asyncio.Event) -> None:
    await companion(stop)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where it installs, else the standard one."""
    try:
        import uvloop  # noqa: PLC0415 - an optional extra
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
