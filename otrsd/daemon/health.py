"""The health role: ``/-/healthy``, ``/-/ready``, ``/-/version`` and ``/metrics``.

HTTP/1.1 (RFC 9112), GET and HEAD only, one answer a connection, on loopback only, with
small limits: what is asked is never more than a request line. Bodies are JSON but for
``/metrics``; no ticket, address or secret is in them. A process of its own, so that a
scrape that waits for the database keeps no mail waiting. Fails with ``ConfigError``
where the port can't be opened.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from otrsd import __version__
from otrsd.app import App
from otrsd.config.models import Health
from otrsd.control import Control
from otrsd.daemon.checks import Level, run_checks
from otrsd.daemon.metrics import CONTENT_TYPE, exposition
from otrsd.errors import ConfigError

#: Checks without which no mail becomes a ticket.
_NEEDED = ("reload", "database", "disk", "index")
_JSON = "application/json"
_LONGEST = 8 * 1024
_SECONDS = 10.0
_MOST = 20
_REASONS = {
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    400: "Bad Request",
    503: "Service Unavailable",
}

Answer = tuple[int, str, bytes]


def run_health(app: App, health: Health, control: Control) -> None:
    """Answer until the control says stop."""
    asyncio.run(_serve(app, health, control))


async def _serve(app: App, health: Health, control: Control) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(control.fileno(), stop.set)
    pages = Pages(app)
    try:
        server = await asyncio.start_server(
            pages.answer, health.address, health.port, limit=_LONGEST
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"listen.health {health.address}:{health.port} can't be opened: {reason}; "
            "set another listen.health.port"
        ) from error
    log = structlog.get_logger()
    for each in server.sockets:
        address, port = each.getsockname()[:2]
        log.info("listener.open", channel="health", address=address, port=port)
    control.ready()
    await stop.wait()
    loop.remove_reader(control.fileno())
    server.close()
    pages.close()


class Pages:
    """Answers connections, a few at a time."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._open = 0
        # One thread, so that each connection to spool and database stays in its own.
        self._thread = ThreadPoolExecutor(max_workers=1)

    def close(self) -> None:
        """Wait for the answer in hand; close what the thread has opened."""
        self._thread.submit(self._app.close)
        self._thread.shutdown()

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Read one request and answer it."""
        self._open += 1
        try:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(_SECONDS):
                    if self._open <= _MOST:
                        await self._exchange(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        method, _, rest = head.partition(b" ")
        target = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        code, kind, body = await self._page(method, target)
        lines = (
            f"HTTP/1.1 {code} {_REASONS[code]}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Connection: close",
            *(("Allow: GET, HEAD",) if code == 405 else ()),  # noqa: PLR2004 - its name is above
        )
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        writer.write(b"" if method == b"HEAD" else body)
        await writer.drain()

    async def _page(self, method: bytes, target: str) -> Answer:
        pages: dict[str, Callable[[], Answer]] = {
            "/-/healthy": _healthy,
            "/-/ready": self._ready,
            "/-/version": lambda: _json(200, {"version": __version__}),
            "/metrics": lambda: (200, CONTENT_TYPE, exposition(self._app)),
        }
        if target not in pages:
            return _json(404, {"error": "no such page", "pages": list(pages)})
        if method not in {b"GET", b"HEAD"}:
            return _json(405, {"error": "only GET and HEAD"})
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, pages[target])

    def _ready(self) -> Answer:
        checks = run_checks(self._app)
        needed = [check for check in checks if check.name in _NEEDED]
        bad = any(check.level >= Level.CRITICAL for check in needed)
        said = {
            check.name: {"level": check.level.name.lower(), "text": check.text}
            for check in checks
        }
        return _json(503 if bad else 200, {"ready": not bad, "checks": said})


def _healthy() -> Answer:
    return _json(200, {"healthy": True})


def _json(code: int, value: object) -> Answer:
    return code, _JSON, json.dumps(value).encode() + b"\n"
