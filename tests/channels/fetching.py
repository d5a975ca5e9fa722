"""A visitor of a mailbox on loopback, and what it has brought home."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.mailbox import PASSWORD, Box, Cut
from otrsd.channels.fetch.account import Account, Surroundings
from otrsd.channels.fetch.book import BOOK_NAME, AccountStatus, read_accounts
from otrsd.channels.fetch.wire import Patience
from otrsd.clock import SystemClock
from otrsd.config.models import FetchAccount
from otrsd.model.envelope import Envelope

#: Ways of one mailbox: protocol, capabilities, settings.
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "imap": ("imap", "MOVE UIDPLUS", {}),
    "imap-without-uidplus": ("imap", "", {}),
    "imap-move": ("imap", "MOVE UIDPLUS", {"move_to": "Done"}),
    "imap-copy": ("imap", "UIDPLUS", {"move_to": "Done"}),
    "imap-keep": ("imap", "", {"keep": True}),
    "pop3": ("pop3", "", {}),
    "pop3-without-uidl": ("pop3", "no-uidl", {}),
    "pop3-keep": ("pop3", "", {"keep": True}),
}
DELETING = ("imap", "imap-without-uidplus", "pop3")
SHORT = Patience(silence=0.4, command=2.0, rate=10_000)


@dataclass
class Home:
    """A spool for tests: the same id is the same mail."""

    mails: dict[str, bytes] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)
    #: Called after a group was stored.
    after: Callable[[], None] = lambda: None
    #: What becomes of a mail instead of being stored.
    refuse: Callable[[bytes], BaseException | None] = lambda _: None

    def keep(
        self, parcels: Sequence[tuple[str, Envelope, bytes]]
    ) -> Sequence[BaseException | None]:
        errors = [self.refuse(content) for _, _, content in parcels]
        for (spool_id, envelope, content), error in zip(parcels, errors, strict=True):
            if error is None:
                assert self.mails.setdefault(spool_id, content) == content
                self.envelopes.append(envelope)
        self.after()
        return errors

    @property
    def often(self) -> Counter[bytes]:
        """Return how many mails each content has become."""
        return Counter(self.mails.values())


@dataclass
class Visitor:
    """One account of one mailbox."""

    folder: Path
    box: Box
    settings: dict[str, Any]
    home: Home = field(default_factory=Home)
    told: list[str] = field(default_factory=list)
    patience: Patience = SHORT

    def account(self, **changes: Any) -> Account:
        usual = {
            "host": "127.0.0.1",
            "tls": "none",
            "username": "desk",
            "password": PASSWORD,
            "idle": False,
        }
        settings = FetchAccount(**{**usual, **self.settings, **changes})
        around = Surroundings(
            state=self.folder,
            root=self.folder,
            clock=SystemClock(),
            is_ours=lambda address: address.endswith("@desk.example"),
            keep=self.home.keep,
            tell=lambda *words: self.told.append(" | ".join(words)),
            chance=lambda: 0.5,
            room=threading.BoundedSemaphore(2),
            patience=self.patience,
        )
        return Account("box", settings, around)

    def visit(self, times: int = 1, **changes: Any) -> float:
        """Visit so many times; return the seconds until the next visit."""
        seconds = 0.0
        for _ in range(times):
            seconds = self.account(**changes)._once()
        return seconds

    def until_done(self, most: int = 12) -> int:
        """Visit until a visit goes well; return how many it took."""
        for times in range(1, most + 1):
            self.visit()
            if not self.status.error:
                return times
        raise AssertionError(self.status.error)

    @property
    def status(self) -> AccountStatus:
        (found,) = read_accounts(self.folder)
        return found

    def lose_the_book(self) -> None:
        for path in self.folder.glob(f"{BOOK_NAME}*"):
            path.unlink()


def cutting(point: str, times: int) -> Callable[[str], None]:
    """Return a fault that cuts the connection the first ``times`` it is there."""
    left = [times]

    def fault(where: str) -> None:
        if where == point and left[0]:
            left[0] -= 1
            raise Cut

    return fault


def mails(count: int, start: int = 0) -> list[bytes]:
    """Return mails without Message-ID: nobody else can tell a copy."""
    return [
        f"From: <kim@customer.example>\r\nSubject: Mail {n}\r\n\r\n.{n}\r\n".encode()
        for n in range(start, start + count)
    ]


def once(contents: list[bytes]) -> dict[bytes, int]:
    """Return what a spool holds that has each mail once."""
    return dict.fromkeys(contents, 1)


def hanging(until: threading.Event) -> Callable[[str], None]:
    """Return a fault that lets a client wait for the greeting."""

    def fault(where: str) -> None:
        if where == "greeting":
            until.wait(10)

    return fault
