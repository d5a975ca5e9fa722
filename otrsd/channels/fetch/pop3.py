"""POP3 (RFC 1939, 2449, 2595), by poplib over a :class:`Wire`.

A session sees the mailbox as it was when it began, and QUIT is what deletes: a
connection that breaks before it has deleted nothing. Mails are known by UIDL; where a
server has none, a mail is known by its octets alone, and nothing can be kept there.
"""

from __future__ import annotations

import poplib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from otrsd.channels.events import visible
from otrsd.channels.fetch.mailbox import (
    Listed,
    Login,
    LoginError,
    MailboxError,
    UnreadableError,
)
from otrsd.channels.fetch.wire import Wire, WireError
from otrsd.failpoint import failpoint

#: So many mails are listed at once; of more, the first ones one by one.
_MOST = 20_000
_FEW = 500
#: Mails of one session that deletes: it must reach QUIT for anything to be deleted.
_SESSION = 100
#: Octets of a mail's line in a list: its number and 70 characters (RFC 1939 §7).
_LISTED = 90
_LONGEST_NAME = 200


class _Client(poplib.POP3):
    """poplib over our wire; its lists have no limit, its lines are too short."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        super().__init__(wire.host, wire.port)

    def _create_socket(self, _timeout: object) -> Wire:
        return self.wire

    def close(self) -> None:
        """Close the wire."""
        self.wire.close()

    def say(self, line: str) -> bytes:
        """Send a command; return the reply's line."""
        # poplib has a verb for each command but for those that it does not know.
        reply: bytes = self._shortcmd(line)  # type: ignore[attr-defined]
        return reply

    def answer(self, line: str = "") -> bytes:
        """Answer a challenge (RFC 5034)."""
        self._putcmd(line)  # type: ignore[attr-defined]
        reply: bytes = self._getresp()  # type: ignore[attr-defined]
        return reply

    def octets(self, line: str) -> bytes:
        """Send a command; return the lines of its answer as they are."""
        self.say(line)
        if self.wire.begins(b".\r\n"):
            self.wire.read(3)
            return b""
        octets = self.wire.read_until(b"\r\n.\r\n")[:-3]
        if octets.startswith(b"."):
            octets = octets[1:]
        return octets.replace(b"\r\n.", b"\r\n")


class Pop3Mailbox:
    """A mailbox that is open."""

    channel = "pop3"
    growing = False

    def __init__(self, wire: Wire, login: Login, session: str) -> None:
        self.wire = wire
        self.ahead = 0
        self.lasting = True
        self.validity = ""
        self._login = login
        self._finished = False
        #: A name that no other session has.
        self._session = session
        wire.connect()
        with _spoken():
            if login.tls == "required":
                wire.secure(login.context())
            self._client = _Client(wire)
            if login.tls == "starttls":
                self._begin_tls()
            self._enter()
            self._find_names()

    def windows(self, start: int) -> Iterator[Sequence[Listed]]:
        """Yield the mails of this session; further ones have a session of their own."""
        del start
        with self._command():
            count = self._client.stat()[0]
        self.ahead = count
        if count <= 0:
            return
        if count > _MOST and self._login.read_only:
            raise MailboxError(
                f"{count} mails are in it; by POP3 'keep: true' does {_MOST} at most:"
                " use IMAP, or let mails be deleted"
            )
        if count > _MOST:
            numbers = range(1, _FEW + 1)
            sizes = self._one_by_one("LIST", numbers)
            names = self._one_by_one("UIDL", numbers) if self.lasting else {}
        else:
            sizes = self._list("LIST", count)
            names = self._list("UIDL", count) if self.lasting else {}
        listed: dict[str, Listed] = {}
        for number, size in sizes.items():
            uid = names.get(number, "") if self.lasting else str(number)
            # Of two with one name the second's turn comes when the first is gone.
            if uid and uid not in listed and size.isdecimal():
                listed[uid] = Listed(number=number, uid=uid, size=int(size))
        found = tuple(listed.values())
        yield found if self._login.read_only else found[:_SESSION]

    def fetch(self, mail: Listed, limit: int) -> bytes | None:
        """Return a mail of at most ``limit`` octets."""
        try:
            with self._command(limit):
                return self._client.octets(f"RETR {mail.number}")
        except MailboxError as error:
            raise UnreadableError(str(error)) from error

    def delete(self, mails: Sequence[Listed]) -> None:
        """Mark mails; QUIT removes them."""
        for mail in mails:
            with self._command():
                self._client.dele(mail.number)
        failpoint("fetch.flagged")

    def move(self, mails: Sequence[Listed], folder: str, *, ours: bool = False) -> None:  # noqa: ARG002 - as IMAP
        """POP3 knows no folders."""
        raise MailboxError("POP3 knows no folders")

    def finish(self) -> None:
        """Say QUIT: from here on the mails are gone."""
        if self._finished:
            return
        self._finished = True
        with self._command():
            self._client.say("QUIT")
        failpoint("fetch.gone")

    def can_wait(self) -> bool:
        """POP3 never says when mail comes."""
        return False

    def wait(self, seconds: float) -> None:
        """Never called."""
        raise NotImplementedError

    def _begin_tls(self) -> None:
        try:
            self._client.say("STLS")
        except poplib.error_proto as error:
            raise MailboxError(
                "it offers no STARTTLS, and nothing is sent in clear;"
                " 'tls: required' with port 995?"
            ) from error
        self.wire.secure(self._login.context())

    def _enter(self) -> None:
        login, client = self._login, self._client
        token = login.token() if login.token is not None else None
        try:
            if token is None:
                client.user(login.username)
                client.pass_(login.password)
            else:
                # In two steps: the line would be too long for one (RFC 5034 §4).
                text = f"user={login.username}\1auth=Bearer {token}\1\1"
                client.answer("AUTH XOAUTH2")
                if client.answer(b64encode(text.encode()).decode()).startswith(b"+ "):
                    client.answer()
        except poplib.error_proto as error:
            told = visible(_reply(error))
            if "[IN-USE]" in told.upper():
                raise MailboxError(f"another session has it open: {told}") from error
            raise LoginError(f"the login is refused: {told}") from error

    def _find_names(self) -> None:
        """Find out whether the server knows UIDL."""
        try:
            if self._client.stat()[0]:
                self._client.say("UIDL 1")
            else:
                self._client.octets("UIDL")
        except poplib.error_proto:
            self.lasting = False
            self.validity = self._session
            if self._login.read_only:
                raise MailboxError(
                    "it knows no UIDL, so nothing can be kept there: take 'keep' away"
                ) from None

    def _list(self, what: str, count: int) -> Mapping[int, str]:
        with self._command(count * _LISTED):
            octets = self._client.octets(what)
        return dict(filter(None, map(_pair, octets.splitlines())))

    def _one_by_one(self, what: str, numbers: range) -> Mapping[int, str]:
        found: dict[int, str] = {}
        for number in numbers:
            # Somebody may have deleted it in a session before.
            with suppress(MailboxError), self._command():
                pair = _pair(self._client.say(f"{what} {number}").removeprefix(b"+OK "))
                found |= dict([pair] if pair else [])
        return found

    @contextmanager
    def _command(self, octets: int = 0) -> Iterator[None]:
        self.wire.expect(octets)
        with _spoken():
            yield


def _pair(line: bytes) -> tuple[int, str] | None:
    """Return number and text of a line of LIST or UIDL."""
    number, _, text = line.decode("utf-8", "replace").strip().partition(" ")
    if (
        not number.isascii()
        or not number.isdecimal()
        or len(number) > len("4294967295")
    ):
        return None
    return int(number), text.split(" ")[0][:_LONGEST_NAME]


@contextmanager
def _spoken() -> Iterator[None]:
    """Turn what the libraries raise into words for a person."""
    try:
        yield
    except poplib.error_proto as error:
        raise MailboxError(visible(_reply(error))) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WireError(f"it answers what is no POP3: {visible(str(error))}") from error


def _reply(error: poplib.error_proto) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
