"""A mailbox in memory and what its sessions have in common; see ``mailserver``.

Well-behaved unless told otherwise: ``Box.fault`` is called at named moments with the
connection's words so far, and may raise :class:`Cut` to end it there. ``Box.gone``
hears of every mail that was deleted for good. Not a server for mail that matters.
"""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

PASSWORD, TOKEN = "open sesame", "ya29.a0"


class Cut(Exception):  # noqa: N818 - what happens, no mistake
    """End the connection now."""


@dataclass(slots=True, eq=False)
class Kept:
    """One mail in a folder."""

    uid: int
    content: bytes
    flags: set[str] = field(default_factory=set)


class Box:
    """One user's mail; any thread may use it."""

    def __init__(self) -> None:
        self.password = PASSWORD
        self.token = TOKEN
        self.lock = threading.RLock()
        self.news = threading.Condition(self.lock)
        self.validity = 1
        self.next_uid = 1
        self.folders: dict[str, list[Kept]] = {"INBOX": []}
        #: Told of every mail that is gone for good.
        self.gone: Callable[[bytes], None] = lambda _: None
        #: Called at a named moment; may raise Cut.
        self.fault: Callable[[str], None] = lambda _: None
        #: Answers of our own, by the command's words: octets instead of the usual.
        self.odd: dict[str, bytes] = {}
        #: Every command as it came.
        self.said: list[str] = []
        self.capabilities = "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 IDLE MOVE UIDPLUS"
        self.has_uidl = True
        self.context: ssl.SSLContext | None = None
        #: Whether TLS begins with the first octet.
        self.implicit_tls = False
        self.sessions = 0
        #: Seconds between two octets of a greeting; 0: it comes at once.
        self.drip = 0.0

    @property
    def inbox(self) -> list[Kept]:
        """Return the mails of the inbox."""
        return self.folders["INBOX"]

    def deliver(self, *contents: bytes, folder: str = "INBOX") -> None:
        """Put mails into a folder."""
        with self.news:
            for content in contents:
                kept = Kept(self.next_uid, content.replace(b"\r\n", b"\n"))
                kept.content = kept.content.replace(b"\n", b"\r\n")
                self.folders.setdefault(folder, []).append(kept)
                self.next_uid += 1
            self.news.notify_all()

    def renumber(self) -> None:
        """Give every mail another UID, as a server does that lost its index."""
        with self.lock:
            self.validity += 1
            for kept in self.inbox:
                kept.uid = self.next_uid
                self.next_uid += 1

    def remove(self, mails: list[Kept]) -> None:
        """Remove mails from the inbox for good."""
        with self.lock:
            for kept in mails:
                with suppress(ValueError):
                    self.inbox.remove(kept)
                    self.gone(kept.content)


class Session(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True

    server: Server

    def setup(self) -> None:
        """Begin TLS where that comes first."""
        self.box = self.server.box
        self.is_open = True
        if self.box.implicit_tls:
            self._begin_tls()
        super().setup()
        self.box.sessions += 1

    def handle(self) -> None:
        """Obey until the client goes."""
        with suppress(Cut, OSError, ValueError):
            self.greet()
            while self.is_open and (line := self.rfile.readline(65536)):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self.box.said.append(text)
                self.obey(text)

    def finish(self) -> None:
        """Close everything."""
        with suppress(OSError, ValueError):
            super().finish()
        # TLS has a socket of its own.
        self.connection.close()

    def say(self, text: str | bytes) -> None:
        """Send a line."""
        octets = text.encode() if isinstance(text, str) else text
        self.wfile.write(octets + b"\r\n")

    def greet(self) -> None:
        """Say the first line."""
        raise NotImplementedError

    def obey(self, text: str) -> None:
        """Do one command."""
        raise NotImplementedError

    def start_tls(self) -> None:
        """Speak TLS from here on."""
        self._begin_tls()
        self.rfile = self.connection.makefile("rb", self.rbufsize)
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]  # noqa: SLF001

    def _begin_tls(self) -> None:
        context = self.box.context
        if context is None:
            raise Cut
        self.connection = self.request = context.wrap_socket(
            self.request, server_side=True
        )

    def is_right(self, encoded: str) -> bool:
        """Check a SASL answer, PLAIN or XOAUTH2."""
        words = base64.b64decode(encoded).decode()
        return words.endswith((f"\0{self.box.password}", f"{self.box.token}\1\1"))


class Server(socketserver.ThreadingTCPServer):
    """Gives each connection a thread."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, session: type[Session], box: Box) -> None:
        self.box = box
        super().__init__(("127.0.0.1", port), session)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no news."""
