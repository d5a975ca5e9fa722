r"""IMAP (RFC 3501, 2177, 4315, 6851), by IMAPClient over a :class:`Wire`.

Lists by sequence numbers, 200 at a time, so that a mailbox of a million mails costs no
memory; everything else by UID. Mails are peeked at: nobody's \Seen changes. What an
account that keeps its mails opens, it opens read-only (EXAMINE).
"""

from __future__ import annotations

import imaplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from imapclient import IMAPClient, exceptions

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

#: Mails listed at a time.
_WINDOW = 200
_DELETED = rb"\Deleted"
#: What parsers raise that were given something else than they expect.
_CONFUSED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RecursionError,
)


class _Protocol(imaplib.IMAP4):
    """The standard library's protocol over our wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(wire.host, wire.port)

    def open(self, *_: object, **__: object) -> None:
        """Nothing to do: the wire is connected."""

    def read(self, size: int) -> bytes:
        """Return the octets of a literal."""
        return self._wire.read(size)

    def readline(self) -> bytes:
        """Return one line."""
        return self._wire.readline()

    def send(self, data: Any) -> None:
        """Send a line."""
        self._wire.sendall(bytes(data))

    def shutdown(self) -> None:
        """Close the wire."""
        self._wire.close()


class _Client(IMAPClient):
    """IMAPClient over our wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(wire.host, wire.port, ssl=False)
        # It would put every line, and each mail, into words for a log nobody keeps.
        self._imap.debug = 0

    def _create_IMAP4(self) -> _Protocol:  # noqa: N802 - the library's name
        return _Protocol(self._wire)

    def _set_read_timeout(self) -> None:
        """Nothing to do: the wire has its own."""

    def starttls_over(self, login: Login) -> None:
        """Ask for TLS and begin it."""
        if not self.has_capability("STARTTLS"):
            raise MailboxError(
                "it offers no STARTTLS, and nothing is sent in clear;"
                " 'tls: required' with port 993?"
            )
        # The library would make a TLS context of its own, and a socket we can't end.
        typ, _ = self._imap._simple_command("STARTTLS")  # noqa: SLF001
        if typ != "OK":
            raise MailboxError("it refuses STARTTLS")
        self._wire.secure(login.context())
        # What was told in clear does not count (RFC 3501 §6.2.1).
        self._cached_capabilities = None
        self._imap.untagged_responses.pop("CAPABILITY", None)
        self._imap.capabilities = ()
        self._starttls_done = True

    def begin_idle(self) -> bool:
        """Begin IDLE; tell whether there was news already (``idle`` fails of that)."""
        # The library has no other way to read what comes before the ``+``.
        tag = self._imap._command("IDLE")  # noqa: SLF001
        has_news = False
        while self._imap._get_response() is not None:  # noqa: SLF001
            if self._imap.tagged_commands[tag]:
                raise MailboxError("it refuses IDLE; its mailbox is polled")
            has_news = True
        self._idle_tag = tag
        return has_news


class ImapMailbox:
    """A folder that is open."""

    channel = "imap"
    lasting = True
    growing = True

    def __init__(self, wire: Wire, login: Login) -> None:
        self.wire = wire
        self.ahead = 0
        self.validity = ""
        self._login = login
        wire.connect()
        with _spoken():
            if login.tls == "required":
                wire.secure(login.context())
            self._client = _Client(wire)
            if login.tls == "starttls":
                self._client.starttls_over(login)
            self._enter()
            self._count = self._select()

    def windows(self, start: int) -> Iterator[Sequence[Listed]]:
        """Yield the mails from UID ``start`` on, 200 at a time."""
        while True:
            first = self._first(start)
            self.ahead = max(0, self._count - first + 1)
            if first > self._count:
                return
            window = [each for each in self._window(first) if each.number >= start]
            if not window:
                return
            yield window
            start = window[-1].number + 1
            with self._command():
                # Mails are gone meanwhile, and sequence numbers have moved.
                before, self._count = self.validity, self._select()
            if self.validity != before:
                return

    def fetch(self, mail: Listed, limit: int) -> bytes | None:
        """Return a mail of at most ``limit`` octets; ``None`` if it has vanished."""
        try:
            with self._command(limit):
                found = self._client.fetch([mail.number], ["BODY.PEEK[]"])
        except MailboxError as error:
            # RFC 5530: it was deleted by somebody else meanwhile.
            if "[EXPUNGED]" in str(error).upper():
                return None
            raise UnreadableError(str(error)) from error
        content = found.get(mail.number, {}).get(b"BODY[]")
        return content if isinstance(content, bytes) else None

    def delete(self, mails: Sequence[Listed]) -> None:
        """Remove mails for good, and no mail that others have marked."""
        uids = [each.number for each in mails]
        with self._command():
            self._client.delete_messages(uids, silent=True)
        failpoint("fetch.flagged")
        with self._command():
            if self._client.has_capability("UIDPLUS"):
                self._client.uid_expunge(uids)
            elif set(self._client.search("DELETED")) <= set(uids):
                # Without UIDPLUS it takes everything that is marked.
                self._client.expunge()
        failpoint("fetch.gone")

    def move(self, mails: Sequence[Listed], folder: str, *, ours: bool = False) -> None:
        """Move mails into a folder, which is made if it is not there."""
        uids = [each.number for each in mails]
        name = self._prefix() + folder if ours else folder
        with self._command():
            if not self._client.folder_exists(name):
                with suppress(exceptions.IMAPClientError):
                    self._client.create_folder(name)
            if self._client.has_capability("MOVE"):
                self._client.move(uids, name)
                failpoint("fetch.gone")
                return
            self._client.copy(uids, name)
        self.delete(mails)

    def finish(self) -> None:
        """Say goodbye."""
        with suppress(MailboxError, WireError), self._command():
            self._client.logout()

    def can_wait(self) -> bool:
        """Tell whether the server knows IDLE."""
        with self._command():
            return bool(self._client.has_capability("IDLE"))

    def wait(self, seconds: float) -> None:
        """IDLE until the server has news, at most ``seconds`` (RFC 2177)."""
        with self._command():
            has_news = self._client.begin_idle()
        if not has_news:
            self.wire.wait(seconds)
        with self._command():
            self._client.idle_done()
            self._count = self._select()

    def _enter(self) -> None:
        """Log in; never with a password in clear (the configuration sees to that)."""
        login, client = self._login, self._client
        try:
            if login.token is not None:
                client.oauth2_login(login.username, login.token())
            elif client.has_capability("AUTH=PLAIN"):
                client.plain_login(login.username, login.password)
            else:
                client.login(_quoted(login.username), login.password)
        except exceptions.LoginError as error:
            raise LoginError(f"the login is refused: {visible(str(error))}") from error
        except UnicodeEncodeError as error:
            raise LoginError(
                "it takes ASCII only, and the user name or the password is not"
            ) from error

    def _select(self) -> int:
        """Open the folder; return how many mails are in it."""
        found = self._client.select_folder(
            self._login.folder, readonly=self._login.read_only
        )
        self.validity = str(int(found.get(b"UIDVALIDITY", 0)))
        return int(found[b"EXISTS"])

    def _first(self, start: int) -> int:
        """Return the sequence number of the first mail from UID ``start`` on."""
        low, high = 1, self._count + 1
        if start <= 1:
            return low
        # Most visits find nothing new.
        if high > 1 and self._uid(high - 1) < start:
            return high
        while low < high:
            middle = (low + high) // 2
            if self._uid(middle) < start:
                low = middle + 1
            else:
                high = middle
        return low

    def _uid(self, sequence: int) -> int:
        found = self._by_sequence([sequence], ["UID"])
        return max((int(each.get(b"UID", 0)) for each in found), default=0)

    def _window(self, first: int) -> list[Listed]:
        numbers = range(first, min(self._count, first + _WINDOW - 1) + 1)
        found = self._by_sequence(numbers, ["UID", "RFC822.SIZE", "FLAGS"])
        listed = {
            int(each[b"UID"]): Listed(
                number=int(each[b"UID"]),
                uid=str(int(each[b"UID"])),
                size=int(each[b"RFC822.SIZE"]),
                deleted=_DELETED in each.get(b"FLAGS", ()),
            )
            for each in found
            if b"UID" in each and b"RFC822.SIZE" in each
        }
        return [listed[uid] for uid in sorted(listed)]

    def _by_sequence(
        self, numbers: Sequence[int], items: Sequence[str]
    ) -> list[dict[bytes, Any]]:
        with self._command():
            self._client.use_uid = False
            try:
                found = self._client.fetch(numbers, items)
            finally:
                self._client.use_uid = True
        return list(found.values())

    def _prefix(self) -> str:
        """Return what stands before the names of our own folders over there."""
        if not self._client.has_capability("NAMESPACE"):
            return ""
        personal = self._client.namespace().personal
        return str(personal[0][0]) if personal else ""

    @contextmanager
    def _command(self, octets: int = 0) -> Iterator[None]:
        self.wire.expect(octets)
        with _spoken():
            yield


@contextmanager
def _spoken() -> Iterator[None]:
    """Turn what the libraries raise into words for a person."""
    try:
        yield
    except exceptions.IMAPClientAbortError as error:
        raise WireError(visible(str(error))) from error
    except exceptions.IMAPClientError as error:
        raise MailboxError(visible(str(error))) from error
    except _CONFUSED as error:
        # A hostile answer; the parsers expect a friendly one.
        raise WireError(
            f"it answers what is no IMAP: {visible(str(error)) or type(error).__name__}"
        ) from error


def _quoted(name: str) -> str:
    """Return a user name as a quoted string: imaplib sends it as it is."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
