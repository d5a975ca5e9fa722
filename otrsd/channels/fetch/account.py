"""One account, visit after visit, in a thread of its own.

In: its settings, the way into the spool, the moment to stop. Out: nothing; what went
well or wrong is in the book and in the log. Nothing ends the thread but the stop: after
an error it waits, twice as long each time, up to a quarter of an hour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog

from otrsd.channels.fetch.book import BOOK_NAME, Book
from otrsd.channels.fetch.mailbox import Login, LoginError, Mailbox, MailboxError
from otrsd.channels.fetch.origin import paths
from otrsd.channels.fetch.round import Rules, Tell, Visit
from otrsd.channels.fetch.token import Tokens
from otrsd.channels.fetch.wire import Patience, Wire
from otrsd.clock import Clock
from otrsd.config.models import FetchAccount
from otrsd.errors import OtrsdError
from otrsd.model.envelope import Envelope

#: Seconds until the next try: after the first error, after a refused login (a server
#: may lock the account after some), and at most.
_FIRST, _REFUSED, _LONGEST = 5.0, 60.0, 900.0
#: Seconds of IDLE (RFC 2177 allows 29 minutes; routers forget a silent connection).
_IDLE = 540.0
#: Seconds at least between two visits, whatever the server has to say.
_PAUSE = 1.0

#: Stores envelopes and contents under ids; what became of each.
Keep = Callable[[Sequence[tuple[str, Envelope, bytes]]], Sequence[BaseException | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all accounts share."""

    state: Path
    root: Path
    clock: Clock
    is_ours: Callable[[str], bool]
    keep: Keep
    tell: Tell
    #: From 0 to 1, for what must not happen at the same moment everywhere.
    chance: Callable[[], float]
    room: threading.Semaphore
    patience: Patience


class Account:
    """One account."""

    def __init__(self, name: str, settings: FetchAccount, around: Surroundings) -> None:
        self.name = name
        self._settings = settings
        self._around = around
        self._stop = threading.Event()
        self._wire: Wire | None = None
        self._tokens = Tokens(around.clock, settings.token_command, settings.token)
        self._errors = 0
        #: Whether we wait for news, until a server refuses that.
        self._idle = settings.idle
        #: Whether mails wait that the last visit had no time for.
        self._more = False
        self._visit: Visit | None = None
        self._log = structlog.get_logger().bind()

    def stop(self) -> None:
        """Ask the thread to end; whatever it waits for ends now."""
        self._stop.set()
        wire = self._wire
        if wire is not None:
            wire.abort()
        self._tokens.abort()

    def run(self) -> None:
        """Visit the mailbox until told to stop."""
        while not self._stop.is_set():
            self._stop.wait(self._once())

    def probe(self) -> str:
        """Log in and look; return what there is, for a person."""
        mailbox = self._open()
        try:
            window: Sequence[object] = next(iter(mailbox.windows(1)), ())
            mails = max(mailbox.ahead, len(window))
            mailbox.finish()
        finally:
            mailbox.wire.close()
        return f"the login works, {mails} mails are there"

    def _once(self) -> float:
        """Do one session; return the seconds to wait."""
        try:
            with closing(Book(self._around.state / BOOK_NAME)) as book:
                return self._noted(book)
        except Exception as error:  # noqa: BLE001 - whatever it is: later again
            # The book itself, or its disk; the mails stay where they are.
            return self._told(error)

    def _noted(self, book: Book) -> float:
        try:
            self._session(book)
        except Exception as error:  # noqa: BLE001 - whatever it is: later again
            if self._stop.is_set():
                return 0.0
            visit, self._visit = self._visit, None
            if visit is not None and visit.fetched:
                # A server that gives us mails is not away.
                self._errors = 0
            seconds = self._told(error)
            book.failed(
                self.name,
                self._around.clock.now().timestamp(),
                str(error) or type(error).__name__,
                waiting=visit.waiting if visit else None,
                fetched=visit.fetched if visit else 0,
            )
            return seconds
        # A few percent apart, so that accounts don't march in step.
        every = _PAUSE if self._more else self._settings.every.total_seconds()
        return every * (0.95 + 0.1 * self._around.chance())

    def _session(self, book: Book) -> None:
        """Log in, visit, and go on as long as the server says when mail comes."""
        mailbox = self._open()
        try:
            while True:
                self._visit_once(mailbox, book)
                if not (self._idle and mailbox.can_wait()):
                    break
                if self._stop.wait(_PAUSE) or not self._has_waited(mailbox):
                    break
            mailbox.finish()
        finally:
            mailbox.wire.close()
            self._wire = None

    def _has_waited(self, mailbox: Mailbox) -> bool:
        """Wait for news; tell whether the server lets us."""
        try:
            mailbox.wait(_IDLE)
        except MailboxError as error:
            self._log.warning("fetch.no_idle", account=self.name, reason=str(error))
            self._idle = False
        return self._idle

    def _visit_once(self, mailbox: Mailbox, book: Book) -> None:
        settings = self._settings
        visit = Visit(
            mailbox=mailbox,
            page=book.page(self.key),
            rules=Rules(
                name=self.name,
                keep=settings.keep,
                move_to=settings.move_to,
                max_size=settings.max_size,
            ),
            store=lambda mails: self._store(mailbox, mails),
            tell=self._around.tell,
            log=self._log,
            room=self._around.room,
            stopping=self._stop.is_set,
        )
        self._visit = visit
        visit.run()
        self._visit = None
        self._errors = 0
        self._more = visit.fetched > 0 and bool(visit.waiting)
        book.succeeded(
            self.name,
            self._around.clock.now().timestamp(),
            waiting=visit.waiting or 0,
            fetched=visit.fetched,
        )

    @property
    def key(self) -> str:
        """Return the mailbox' name in the book: an account may be called anew."""
        settings = self._settings
        parts = [settings.protocol, settings.host, settings.username]
        return "\0".join(parts + [settings.folder] * (settings.protocol == "imap"))

    def _open(self) -> Mailbox:
        around, settings = self._around, self._settings
        login = Login(
            host=settings.host,
            port=settings.reached_at,
            tls=settings.tls,
            ca_file=str(around.root / settings.ca_file) if settings.ca_file else "",
            username=settings.username,
            password=settings.password,
            token=self._tokens.token if settings.auth == "xoauth2" else None,
            folder=settings.folder,
            read_only=settings.keep,
        )
        wire = Wire(login.host, login.port, around.clock, around.patience)
        self._wire = wire
        try:
            session = around.clock.now().isoformat()
            return _opened(settings.protocol, wire, login, session)
        except LoginError:
            self._tokens.forget()
            raise
        finally:
            if self._stop.is_set():
                wire.abort()

    def _store(
        self, mailbox: Mailbox, mails: Sequence[tuple[str, bytes]]
    ) -> Sequence[BaseException | None]:
        around = self._around
        parcels = []
        for spool_id, content in mails:
            mail_from, rcpt_tos = paths(content, around.is_ours)
            envelope = Envelope(
                mail_from=mail_from,
                rcpt_tos=rcpt_tos,
                channel=mailbox.channel,
                peer=mailbox.wire.peer,
                received_at=around.clock.now(),
                profile=self.name,
                queue=self._settings.queue,
            )
            parcels.append((spool_id, envelope, content))
        return around.keep(parcels)

    def _told(self, error: Exception) -> float:
        """Log an error; return the seconds until the next try."""
        if self._stop.is_set():
            return 0.0
        first = _REFUSED if isinstance(error, LoginError) else _FIRST
        seconds = min(_LONGEST, first * (1 << min(self._errors, 10)))
        seconds *= 0.75 + 0.5 * self._around.chance()
        self._errors += 1
        tell = self._log.warning if isinstance(error, OtrsdError) else self._log.error
        tell(
            "fetch.away",
            account=self.name,
            reason=str(error) if isinstance(error, OtrsdError) else repr(error),
            again_in=round(seconds),
        )
        return seconds


def _opened(protocol: str, wire: Wire, login: Login, session: str) -> Mailbox:
    try:
        if protocol == "imap":
            # Only here: a site without one need not load the library.
            from otrsd.channels.fetch.imap import ImapMailbox  # noqa: PLC0415

            return ImapMailbox(wire, login)
        from otrsd.channels.fetch.pop3 import Pop3Mailbox  # noqa: PLC0415

        return Pop3Mailbox(wire, login, session)
    except BaseException:
        wire.close()
        raise
