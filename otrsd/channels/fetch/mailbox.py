"""What a mailbox gives, whichever protocol it speaks.

In: :class:`Login`, made of an account of the configuration. Out: a :class:`Mailbox`
that lists, fetches, deletes and moves by numbers that it gave itself; nothing of what
stands in a mail or comes from the server ever becomes part of a command (P03).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from otrsd.channels.fetch.wire import Wire
from otrsd.errors import TemporaryError


class MailboxError(TemporaryError):
    """The server refuses something; the connection still stands."""


class LoginError(MailboxError):
    """It does not let us in."""


class UnreadableError(MailboxError):
    """The server can't hand out this very mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where a mailbox is and who we are there."""

    host: str
    port: int
    #: required, starttls, none.
    tls: str = "required"
    #: A PEM file of certificates that are trusted besides the system's.
    ca_file: str = ""
    username: str
    password: str = field(default="", repr=False)
    #: Gives the access token of XOAUTH2; ``None``: the password is the proof.
    token: Callable[[], str] | None = None
    #: IMAP only.
    folder: str = "INBOX"
    #: Whether nothing is to be changed over there.
    read_only: bool = False

    def context(self) -> ssl.SSLContext:
        """Return how TLS is spoken: 1.2 or newer, name and chain checked."""
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_file:
            try:
                context.load_verify_locations(self.ca_file)
            except (OSError, ValueError) as error:
                raise MailboxError(
                    f"'ca_file' {self.ca_file} is not readable as PEM: {error}"
                ) from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One mail over there."""

    #: What we call it in commands.
    number: int
    #: Its name for as long as the mailbox' ``validity`` stays.
    uid: str
    size: int
    #: Whether somebody has marked it as deleted.
    deleted: bool = False


class Mailbox(Protocol):
    """An open mailbox. Everything raises TemporaryError where it does not work."""

    #: imap or pop3.
    channel: str
    #: Names are worth nothing any more once this has changed (RFC 3501 §2.3.1.1).
    validity: str
    #: Whether names outlive the session.
    lasting: bool
    #: Whether numbers only grow, so that a visit can start behind the last one.
    growing: bool
    #: Mails from where the listing started, as far as one knows.
    ahead: int
    wire: Wire

    def windows(self, start: int) -> Iterator[Sequence[Listed]]:
        """Yield the mails from number ``start`` on, some at a time."""
        ...

    def fetch(self, mail: Listed, limit: int) -> bytes | None:
        """Return a mail of at most ``limit`` octets; ``None`` if it has vanished."""
        ...

    def delete(self, mails: Sequence[Listed]) -> None:
        """Remove mails for good; by POP3 it counts from ``finish`` on."""
        ...

    def move(self, mails: Sequence[Listed], folder: str, *, ours: bool = False) -> None:
        """Move mails into a folder; ``ours``: one that we name."""
        ...

    def finish(self) -> None:
        """Say goodbye; by POP3 this is what deletes."""
        ...

    def can_wait(self) -> bool:
        """Tell whether the server says when mail comes."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until the server has news, at most ``seconds``."""
        ...
