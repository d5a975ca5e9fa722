"""One connection to a mail server, under limits (P01, P03, P07, P08).

In: host and port; out: lines and octets. A server may be silent, slow, endless or
lying: each command has so many octets and so much time (:meth:`Wire.expect`), and what
is sent is one line without NUL, CR or LF inside. Fails with :class:`WireError`, whose
text is for a person; after that the connection is of no use. ``abort`` may be called
from another thread: whoever waits for the server then wakes with a WireError.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass

from otrsd.clock import Clock
from otrsd.errors import TemporaryError

#: Octets of a line; the largest are lists of capabilities.
_LINE = 64 * 1024
_READ = 64 * 1024
#: Octets that an answer may have beside the mail that it brings.
TALK = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server may take."""

    #: Seconds to connect, for TLS, without an octet, and for one line.
    silence: float = 60.0
    #: Seconds for one command, beside what a mail takes …
    command: float = 600.0
    #: … at this many octets a second.
    rate: int = 10_000


class WireError(TemporaryError):
    """The connection is of no use any more."""


class TooMuchError(WireError):
    """The server sent, or announced, more than it was asked for."""


class Wire:
    """A connection; made unconnected, so that another thread can end it."""

    def __init__(
        self, host: str, port: int, clock: Clock, patience: Patience | None = None
    ) -> None:
        self.host = host
        self.port = port
        #: Address of the server, once connected.
        self.peer = ""
        self._clock = clock
        self._patience = patience or Patience()
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._left = TALK
        self._deadline = 0.0
        # Between `abort` of another thread and the closing in this one.
        self._lock = threading.Lock()
        self._aborted = False

    # Opening and closing.

    def connect(self) -> None:
        """Open the connection."""
        try:
            found = socket.create_connection(
                (self.host, self.port), timeout=self._patience.silence
            )
        except OSError as error:
            raise WireError(
                f"no connection to {self._place}: {_told(error)}"
            ) from error
        self._socket = found
        self.peer = str(found.getpeername()[0])
        # A connection that waits for mail must notice that its other end is gone.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._aborted:
            self.abort()
        self.expect()

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on."""
        if self._buffer:
            # Whoever put it there hopes that we take it for the server's (RFC 7672).
            raise WireError(f"{self._place} sent something in clear after STARTTLS")
        plain = self._open()
        plain.settimeout(self._patience.silence)
        try:
            self._socket = context.wrap_socket(
                plain, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._socket.do_handshake()
        except (OSError, ValueError) as error:
            raise WireError(f"no TLS with {self._place}: {_told(error)}") from error

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        with self._lock:
            found, self._socket = self._socket, None
            if found is not None:
                with suppress(OSError):
                    found.close()

    def makefile(self, _mode: str) -> Wire:
        """Return what poplib reads lines from."""
        return self

    def abort(self) -> None:
        """End the connection from whatever thread."""
        with self._lock:
            self._aborted = True
            if self._socket is None:
                return
            # A twin of it: the thread that owns the TLS object is inside it.
            with (
                suppress(OSError),
                socket.socket(fileno=os.dup(self._socket.fileno())) as twin,
            ):
                twin.shutdown(socket.SHUT_RDWR)

    # Talking.

    def expect(self, octets: int = 0) -> None:
        """Begin a command whose answer brings ``octets`` beside the usual talk."""
        patience = self._patience
        self._left = TALK + octets
        seconds = patience.command + octets / patience.rate
        self._deadline = self._clock.monotonic() + seconds

    def sendall(self, octets: bytes) -> None:
        """Send one line, or the beginning of one."""
        line = octets.removesuffix(b"\r\n")
        if any(octet in line for octet in b"\r\n\0"):
            # imaplib and poplib send whatever they are given (CVE-2025-15366, -15367).
            raise ValueError("a command is one line")
        found = self._open()
        found.settimeout(self._patience.silence)
        try:
            found.sendall(octets)
        except OSError as error:
            raise WireError(f"{self._place} is gone: {_told(error)}") from error

    def readline(self, limit: int = _LINE) -> bytes:
        """Return the next line with its end."""
        limit = min(limit, _LINE) if limit > 0 else _LINE
        seen = 0
        until = self._clock.monotonic() + self._patience.silence
        while (end := self._buffer.find(b"\n", seen)) < 0:
            seen = len(self._buffer)
            if seen > limit:
                break
            self._fill(until)
        if not 0 <= end < limit:
            raise TooMuchError(
                f"{self._place} sends a line of more than {limit} octets"
            )
        return self._take(end + 1)

    def read(self, count: int) -> bytes:
        """Return the next ``count`` octets."""
        self.check(count - len(self._buffer))
        while len(self._buffer) < count:
            self._fill()
        return self._take(count)

    def begins(self, octets: bytes) -> bool:
        """Tell whether the next octets are these."""
        while len(self._buffer) < len(octets):
            self._fill()
        return self._buffer.startswith(octets)

    def read_until(self, end: bytes) -> bytes:
        """Return everything up to the end of ``end``."""
        seen = 0
        while (found := self._buffer.find(end, seen)) < 0:
            seen = max(0, len(self._buffer) - len(end) + 1)
            self._fill()
        return self._take(found + len(end))

    def check(self, octets: int) -> None:
        """Fail unless the server may send so many octets more."""
        if octets > self._left:
            raise TooMuchError(f"{self._place} announces {octets} octets, too many")

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds``; tell whether the server has something to say."""
        found = self._open()
        if self._buffer or (isinstance(found, ssl.SSLSocket) and found.pending()):
            return True
        poll = select.poll()
        poll.register(found.fileno(), select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _fill(self, until: float | None = None) -> None:
        """Wait for more octets."""
        found = self._open()
        now = self._clock.monotonic()
        ends = self._deadline if until is None else min(until, self._deadline)
        if ends <= now:
            raise WireError(f"{self._place} is too slow")
        found.settimeout(min(self._patience.silence, ends - now))
        try:
            octets = found.recv(_READ)
        except TimeoutError as error:
            raise WireError(f"{self._place} is silent or too slow") from error
        except (OSError, ValueError) as error:
            raise WireError(f"{self._place} is gone: {_told(error)}") from error
        if not octets:
            raise WireError(f"{self._place} closed the connection")
        self._left -= len(octets)
        if self._left < 0:
            raise TooMuchError(f"{self._place} sends more than it was asked for")
        self._buffer += octets

    def _take(self, count: int) -> bytes:
        with memoryview(self._buffer) as view:
            octets = bytes(view[:count])
        del self._buffer[:count]
        return octets

    def _open(self) -> socket.socket:
        if self._socket is None or self._aborted:
            raise WireError(f"the connection to {self._place} is closed")
        return self._socket

    @property
    def _place(self) -> str:
        return f"{self.host}:{self.port}"


def _told(error: Exception) -> str:
    """Return what went wrong, and what to do where we know (P07)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; for an authority"
            " of your own name its file in 'ca_file'"
        )
    if isinstance(error, ssl.SSLError) and error.reason in {
        "WRONG_VERSION_NUMBER",
        "RECORD_LAYER_FAILURE",
    }:
        return "it does not speak TLS there; 'tls: starttls', or another port?"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
