"""Two mailboxes that mail is fetched from while it is tortured: by IMAP and by POP3.

They live in the clients' process, which is never killed. A mail's ``intent`` is written
before it lies in its mailbox, its ``ack`` when it was deleted there for good. Now and
then a connection breaks by itself, at the worst moments.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench.ledger import ACK, INTENT, Mail, Writer
from bench.mailbox import PASSWORD, Box, Cut
from bench.mailserver import serving
from bench.waiting import CLOCK, pause

PROTOCOLS = ("imap", "pop3")
#: How often a connection breaks where it may.
_BREAKS = 0.005
#: Not in the middle of a mail: the third time it would count as the mail's fault.
_WHERE = ("storing", "flagged", "expunging", "expunged")


def accounts(ports: tuple[int, int]) -> str:
    """Return the YAML of the accounts that are fetched from."""
    lines = [
        f"  {name}: {{protocol: {name}, host: 127.0.0.1, port: {port}, tls: none,"
        f" username: desk, password: {PASSWORD}, every: 1s}}"
        for name, port in zip(PROTOCOLS, ports, strict=True)
    ]
    return "\n".join(["fetch:", *lines, ""])


class Mailbox:
    """One mailbox, and the mails that are in it."""

    def __init__(self, protocol: str, ledger: Writer, seed: int) -> None:
        self.protocol = protocol
        self.box = Box()
        self.box.gone = self._gone
        self.box.fault = self._break
        self._ledger = ledger
        self._chance = random.Random(f"{seed}/{protocol}")
        self._inside: dict[bytes, tuple[Mail, Callable[[], None]]] = {}

    def deliver(self, key: Mail, content: bytes, done: Callable[[], None]) -> None:
        """Put a mail in; ``done`` is called when it is gone."""
        self._ledger.write(INTENT, key, self.protocol)
        self._inside[content] = key, done
        self.box.deliver(content)

    def drain(self, seconds: float) -> None:
        """Wait until nothing is left, at most so long."""
        deadline = CLOCK.monotonic() + seconds
        while self._inside and CLOCK.monotonic() < deadline:
            pause(0.1)

    def _gone(self, content: bytes) -> None:
        key, done = self._inside.pop(content)
        self._ledger.write(ACK, key, self.protocol, "deleted")
        done()

    def _break(self, where: str) -> None:
        if where in _WHERE and self._chance.random() < _BREAKS:
            raise Cut


@contextmanager
def mailboxes(
    ports: tuple[int, int], ledger: Writer, seed: int
) -> Iterator[tuple[Mailbox, ...]]:
    """Serve both inside the block; none where there are no ports."""
    with ExitStack() as stack:
        made = []
        for protocol, port in zip(PROTOCOLS, ports, strict=True):
            if port:
                made.append(Mailbox(protocol, ledger, seed))
                stack.enter_context(serving(made[-1].box, protocol, port))
        yield tuple(made)


def fill(
    mailbox: Mailbox,
    write: Callable[[], tuple[Mail, bytes, Callable[[], None]]],
    finish: threading.Event,
    pace: float,
) -> None:
    """Put mails in until the end is asked for."""
    while not finish.is_set():
        mailbox.deliver(*write())
        finish.wait(pace)
