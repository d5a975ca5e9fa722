"""The clients' own book: what they meant to send, and what was acknowledged.

An append-only file of a process that is never killed. Each line is on the disk before
its writer goes on: ``intent`` before a mail is sent, ``ack`` after the 250 or exit 0,
``later`` for an answer that asks for another try, ``bounce`` for a final refusal.
Fields are parted by tabs: word, monotonic seconds, Message-ID, sha256, channel, reply.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.waiting import CLOCK

INTENT, ACK, LATER, BOUNCE = "intent", "ack", "later", "bounce"
#: (Message-ID, sha256 of the content).
Mail = tuple[str, str]


class Writer:
    """The book, open for writing; any thread may write."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)

    def write(self, word: str, mail: Mail, channel: str, reply: str = "") -> None:
        """Write one line and sync it."""
        reply = " ".join(reply.split())[:200]
        line = "\t".join((word, f"{CLOCK.monotonic():.6f}", *mail, channel, reply))
        os.write(self._descriptor, f"{line}\n".encode())
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


@dataclass(slots=True)
class Reader:
    """The book, read as it grows."""

    path: Path
    intents: set[Mail] = field(default_factory=set)
    #: Mail → when it was acknowledged.
    acks: dict[Mail, float] = field(default_factory=dict)
    #: Replies that asked for another try, without what differs from mail to mail.
    later: Counter[str] = field(default_factory=Counter)
    bounces: list[str] = field(default_factory=list)
    _offset: int = 0

    def read(self) -> Reader:
        """Read what has come since the last time."""
        if not self.path.exists():
            return self
        with self.path.open("rb") as file:
            file.seek(self._offset)
            octets = file.read()
        whole = octets.rpartition(b"\n")[0]
        self._offset += len(whole) + 1 if whole else 0
        for line in whole.decode().splitlines():
            self._take(line)
        return self

    @property
    def open(self) -> int:
        """Return how many mails are under way to us right now."""
        return len(self.intents) - len(self.acks) - len(self.bounces)

    def _take(self, line: str) -> None:
        word, at, message_id, sha256, channel, reply = line.split("\t")
        mail = (message_id, sha256)
        if word == INTENT:
            self.intents.add(mail)
        elif word == ACK:
            self.acks[mail] = float(at)
        elif word == LATER:
            self.later[f"{channel} {reply}"] += 1
        else:
            self.bounces.append(f"{channel} {message_id}: {reply}")
