"""A real SMTP server in this process, for tests that send."""

from __future__ import annotations

import asyncio
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class AnyPort(Controller):
    """A Controller on any free port, which ``port`` tells once it has started.

    It breaks its connections off before it stops: one that its client has just left
    would otherwise stay open for ever in a loop that nobody runs any more.
    """

    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=0, **options)
        self._talking: list[SMTP] = []

    def factory(self) -> SMTP:
        """Return what speaks with one client."""
        made: SMTP = super().factory()  # type: ignore[no-untyped-call]  # as below
        self._talking.append(made)
        return made

    def stop(self, no_assert: bool = False) -> None:  # noqa: FBT001, FBT002 - aiosmtpd's
        """End the server and its thread."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(5)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        for each in self._talking:
            if isinstance(each.transport, asyncio.Transport):
                each.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd has no types
