"""The life of one SMTP or LMTP connection: who, how long, how many errors.

Between aiosmtpd's protocol class and ours stands what aiosmtpd 1.4.6 lacks:
admission, one timer for commands, content and session, lingering goodbyes, a
clean stop, and a constructor that does not look at every member of the object
(``inspect.getmembers`` twice per connection). No task is ever cancelled: a client
that goes away ends the stream, and a commit that runs goes on to its end.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from aiosmtpd.smtp import SMTP

from otrsd.channels import replies
from otrsd.channels.admission import Peer
from otrsd.channels.content import STREAM_LIMIT, Reader
from otrsd.channels.entrance import Entrance
from otrsd.channels.replies import Reply, enhance

#: Seconds in which a client may read our last reply; closing at once would let
#: the kernel reset the connection and take that reply away.
_LINGER = 2.0


class Phase(Enum):
    """What a session does; its time limits depend on it."""

    COMMAND = "waits for a command"
    CONTENT = "receives a content"
    STORING = "waits for the commit"


class Connection(SMTP):
    """aiosmtpd's protocol with our limits; the base of ``SmtpSession``."""

    # What aiosmtpd's own constructor would set for each connection anew. A test
    # compares the names, so that a release that adds one is noticed.
    __ident__ = "otrsd"
    event_handler: Any = None
    enable_SMTPUTF8 = True  # noqa: N815 - aiosmtpd's name
    tls_context = None
    require_starttls = False
    session: Any = None
    envelope: Any = None
    transport: Any = None
    _decode_data = False
    _timeout_duration: float = 60
    _timeout_handle: asyncio.TimerHandle | None = None
    _tls_handshake_okay = True
    _tls_protocol = None
    _original_transport = None
    _handler_coroutine: asyncio.Task[None] | None = None
    _auth_require_tls = True
    _auth_required = False
    _proxy_timeout = None
    _authenticator = None
    _auth_callback = None
    _auth_methods: dict[str, Any] = {}  # noqa: RUF012 - never changed
    _ehlo_hook_ver = None
    _enforce_call_limit = False
    _call_limit_default = 0
    _call_limit_base: dict[str, int] = {}  # noqa: RUF012 - never changed

    #: Command → method; made once for each class.
    _smtp_methods: dict[str, Any] = {}  # noqa: RUF012 - never changed
    _reader: Reader
    _peer: Peer | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._smtp_methods = {
            name.removeprefix("smtp_"): getattr(cls, name)
            for name in dir(cls)
            if name.startswith("smtp_")
        }

    def __init__(self, entrance: Entrance) -> None:
        asyncio.StreamReaderProtocol.__init__(
            self,
            Reader(limit=STREAM_LIMIT, loop=entrance.loop),
            client_connected_cb=self._cb_client_connected,
            loop=entrance.loop,
        )
        self.loop = entrance.loop
        self.hostname = entrance.hostname
        self.data_size_limit = entrance.limits.max_size
        self._entrance = entrance
        self._limits = entrance.limits
        self._phase = Phase.COMMAND
        self._parting = False
        self._stop_asked = False
        self._errors = 0
        self._useless = 0
        self._octets = 0
        self._window_octets = 0

    # The connection begins and ends.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or tell it why not."""
        self.transport = transport
        name = transport.get_extra_info("peername")
        if not name:
            # It was gone before we looked.
            transport.close()
            return
        peer = self._entrance.admission.peer_at(name[0])
        refusal = self._refusal(peer)
        if refusal is not None:
            self._entrance.note_refusal(peer.address, refusal.line)
            self._parting = True
            self.transport.write(f"{refusal.line}\r\n".encode())
            transport.close()
            return
        self._peer = peer
        self._entrance.sessions.add(self)
        asyncio.StreamReaderProtocol.connection_made(self, transport)
        self._set_rset_state()
        self.session = self._create_session()
        self.session.peer = name
        now = self._entrance.clock.monotonic()
        self._session_end = now + self._limits.session_seconds
        self._deadline = now + self._limits.command_seconds
        self._arm()
        self._handler_coroutine = self._entrance.group.create_task(
            self._handle_client()
        )

    def connection_lost(self, error: Exception | None) -> None:
        """Give the place back; what is being committed goes on."""
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self.transport = None
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        if self._peer is not None:
            self._entrance.admission.leave(self._peer)
            self._entrance.forget(self)

    def data_received(self, octets: bytes) -> None:
        """Take what the client sends; after our goodbye, drop it."""
        if self._parting:
            return
        self._octets += len(octets)
        asyncio.StreamReaderProtocol.data_received(self, octets)

    def eof_received(self) -> bool:
        """Keep the connection half open: a reply may still be due."""
        if self._parting:
            return False
        asyncio.StreamReaderProtocol.eof_received(self)
        return True

    # Time.

    def _reset_timeout(self, duration: float | None = None) -> None:
        seconds = duration or self._limits.command_seconds
        self._deadline = self._entrance.clock.monotonic() + seconds
        if self._deadline < self._wakes_at and self._timeout_handle is not None:
            self._timeout_handle.cancel()
            self._arm()

    def _arm(self) -> None:
        # One timer per session that wakes when the nearest limit may be reached,
        # instead of one that is made and cancelled with every command.
        self._wakes_at = min(self._deadline, self._session_end)
        wait = max(self._wakes_at - self._entrance.clock.monotonic(), 0.01)
        self._timeout_handle = self.loop.call_later(wait, self._timeout_cb)

    def _timeout_cb(self) -> None:
        now = self._entrance.clock.monotonic()
        reply = None
        if self._phase is Phase.STORING:
            # The commit has its own limits and is never cut.
            self._deadline = self._session_end = now + self._limits.command_seconds
        elif now >= self._session_end:
            reply = replies.SESSION_TOO_LONG
        elif now >= self._deadline:
            reply = self._overdue()
        if reply is None:
            self._arm()
        else:
            self._hang_up(reply)

    def _overdue(self) -> Reply | None:
        if self._phase is Phase.COMMAND:
            return replies.TIMED_OUT
        brought = self._octets - self._window_octets
        if brought < self._limits.data_rate * self._limits.data_window:
            return replies.TOO_SLOW
        self._open_window()
        return None

    def _open_window(self) -> None:
        self._window_octets = self._octets
        self._reset_timeout(self._limits.data_window)

    # Saying something, and goodbye.

    def _set_post_data_state(self) -> None:
        self.envelope = self._create_envelope()

    def _set_rset_state(self) -> None:
        self._set_post_data_state()

    async def push(self, status: str | bytes) -> None:
        """Send a reply; count it where it refuses something."""
        line = status if isinstance(status, str) else status.decode()
        if self.transport is None or self._parting:
            raise ConnectionResetError
        line = enhance(line)
        if line[0] in "45":
            self._errors += 1
        self._writer.write(f"{line}\r\n".encode())
        await self._writer.drain()

    def stop(self) -> None:
        """End as soon as no mail is in hand."""
        self._stop_asked = True
        if self._phase is Phase.COMMAND:
            self._hang_up(replies.STOPPING)

    def abort(self) -> None:
        """End now."""
        if self.transport is not None:
            self.transport.abort()

    def _hang_up(self, reply: Reply | None = None) -> None:
        """Send the last reply, let the client read it, then close."""
        if self.transport is None or self._parting:
            return
        self._parting = True
        if reply is not None:
            self.transport.write(f"{reply.line}\r\n".encode())
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._timeout_handle = self.loop.call_later(_LINGER, self.abort)
        # The session's coroutine ends where it waits for more.
        self._reader.feed_eof()

    def _refusal(self, peer: Peer) -> Reply | None:
        if self._entrance.stopping:
            return replies.STOPPING
        return self._entrance.admission.enter(peer)
