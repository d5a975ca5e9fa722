"""Submission: hand one mail to the smarthost (RFC 6409, RFC 5321, RFC 3207).

In: a reverse-path, recipients, octets in 7 bit. Out: what became of each recipient;
nothing is raised for what the other side does. Whatever happens before MAIL — no
connection, no TLS, a wrong password — is no word about the mail and therefore
temporary. A connection that breaks after the octets have gone leaves the result
unknown: temporary too, the same Message-ID goes again (row O05).

TLS ≥ 1.2 with the name checked. Every step has its time; a server that drips octets
within them is ended by the supervisor (``LIMIT`` of the mail lane).
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

#: The port that speaks TLS from its first octet (RFC 8314 §3.3).
IMPLICIT_TLS = 465
#: Seconds for each step (RFC 5321 §4.5.3.2 asks for more: for hosts far away).
TIMEOUT = 60.0
_LOWEST_PERMANENT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Smarthost:
    """Who takes our mail."""

    host: str
    port: int
    #: required, opportunistic, none.
    tls: str = "required"
    #: A PEM file of certificates that are trusted besides the system's.
    ca_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    #: Our name in EHLO.
    hostname: str
    timeout: float = TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why somebody does not get a mail."""

    #: What the smarthost said, or what went wrong, on one line.
    text: str
    #: 0: no reply came.
    code: int = 0

    @property
    def is_permanent(self) -> bool:
        """Tell whether trying again gives the same answer."""
        return self.code >= _LOWEST_PERMANENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of one mail."""

    #: Recipient → why not; whoever is not here has it.
    refused: Mapping[str, Refused] = field(default_factory=dict)
    #: Whether the smarthost itself is out of reach: other mails need not be tried.
    is_away: bool = False


class Submit(Protocol):
    """How the mail lane hands a mail over."""

    def __call__(
        self, mail_from: str, rcpt_tos: Sequence[str], octets: bytes
    ) -> Submitted:
        """Hand over one mail."""
        ...


class Line:
    """The connection of one submission, so that another thread can cut it."""

    def __init__(self) -> None:
        self._twin: socket.socket | None = None
        self._is_cut = False

    def hold(self, connection: socket.socket) -> None:
        """Take note of a connection that was just opened."""
        # TLS takes the socket over; its twin still ends the same connection.
        self._twin = connection.dup()
        if self._is_cut:
            connection.close()
            raise OSError("otrsd stops")

    def cut(self) -> None:
        """End the connection; whoever waits for its other end waits no longer."""
        self._is_cut = True
        if self._twin is not None:
            with suppress(OSError):
                self._twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        if self._twin is not None:
            self._twin.close()


class _Plain(smtplib.SMTP):
    """A session that tells its line of its connection before it waits for anything."""

    def __init__(self, line: Line, **options: Any) -> None:
        self.line = line
        super().__init__(**options)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self.line.hold(connection)
        return connection


class _OverTls(smtplib.SMTP_SSL, _Plain):
    """The same, with TLS from its first octet."""

    def __init__(self, line: Line, **options: Any) -> None:
        self.line = line
        # It asks our _get_socket, but calls the constructor of SMTP by name.
        smtplib.SMTP_SSL.__init__(self, **options)


def submit(
    smarthost: Smarthost,
    mail_from: str,
    rcpt_tos: Sequence[str],
    octets: bytes,
    line: Line | None = None,
) -> Submitted:
    """Hand one mail to ``smarthost``."""
    is_open = False
    line = line or Line()
    try:
        with closing(line), _session(smarthost, line) as session:
            is_open = True
            return _transaction(session, mail_from, rcpt_tos, octets)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        refused = Refused(text=_told(error))
        # A mail at which the smarthost breaks down must not keep the others back.
        away = not is_open
        return Submitted(refused=dict.fromkeys(rcpt_tos, refused), is_away=away)


@contextmanager
def _session(smarthost: Smarthost, line: Line) -> Iterator[smtplib.SMTP]:
    """Open a session that is ready for MAIL."""
    options: dict[str, Any] = {
        "host": smarthost.host,
        "port": smarthost.port,
        "local_hostname": smarthost.hostname,
        "timeout": smarthost.timeout,
    }
    session: smtplib.SMTP
    if smarthost.tls != "none" and smarthost.port == IMPLICIT_TLS:
        session = _OverTls(line, context=_context(smarthost), **options)
    else:
        session = _Plain(line, **options)
    try:
        session.ehlo_or_helo_if_needed()
        _secure(session, smarthost)
        if smarthost.username:
            session.login(smarthost.username, smarthost.password)
        yield session
        with suppress(OSError, smtplib.SMTPException):
            session.quit()
    finally:
        session.close()


def _context(smarthost: Smarthost) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if smarthost.tls == "opportunistic":
        # On loopback alone: whoever listens there could read the mail anyway.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if smarthost.ca_file:
        context.load_verify_locations(smarthost.ca_file)
    return context


def _secure(session: smtplib.SMTP, smarthost: Smarthost) -> None:
    if smarthost.tls == "none" or isinstance(session, smtplib.SMTP_SSL):
        return
    if session.has_extn("starttls"):
        code, reply = session.starttls(context=_context(smarthost))
        if code != 220:  # noqa: PLR2004 - RFC 3207 §4: ready to start TLS
            raise smtplib.SMTPResponseException(code, reply)
        session.ehlo_or_helo_if_needed()
    elif smarthost.tls == "required":
        raise smtplib.SMTPNotSupportedError(
            "it offers no STARTTLS, and 'send.tls: required' sends nothing in clear"
        )


def _transaction(
    session: smtplib.SMTP, mail_from: str, rcpt_tos: Sequence[str], octets: bytes
) -> Submitted:
    """Run MAIL, RCPT, DATA; from here on the smarthost speaks of this mail."""
    refused: Mapping[str, tuple[int, bytes | str]]
    try:
        refused = session.sendmail(mail_from, list(rcpt_tos), octets)
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        refused = dict.fromkeys(rcpt_tos, (error.smtp_code, error.smtp_error))
    told = {
        address: Refused(code=code, text=f"{code} {_line(reply)}")
        for address, (code, reply) in refused.items()
    }
    return Submitted(refused=told)


def _told(error: Exception) -> str:
    """Return what went wrong, for a list; never a password."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_line(error.smtp_error)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    text = _line(str(error))
    return text or type(error).__name__


def _line(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())[:500]
