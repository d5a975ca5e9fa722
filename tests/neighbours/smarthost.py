"""``smtp-sink`` as the smarthost: it takes everything, and what it took can be read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as policy
from pathlib import Path

from bench.servers import listens
from bench.waiting import until


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One mail that went out."""

    mail_from: str
    to: str
    mail: EmailMessage

    def __getitem__(self, name: str) -> str:
        return str(self.mail[name] or "")

    @property
    def text(self) -> str:
        """Return the body."""
        return str(self.mail.get_content())


class Smarthost:
    """What went out to customers."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder
        folder.mkdir()
        shutil.chown(folder, "nobody")

    def taken(self) -> list[Taken]:
        """Return all mails, oldest first."""
        paths = sorted(self._folder.iterdir(), key=lambda each: each.stat().st_mtime_ns)
        return [_read(path.read_bytes()) for path in paths]

    def next_to(self, address: str, seen: int = 0) -> Taken:
        """Wait until ``address`` has got more than ``seen`` mails; return the last."""

        def found() -> list[Taken]:
            mine = [each for each in self.taken() if each.to == address]
            return mine[seen:]

        return until(f"mail {seen + 1} to {address} goes out", found)[-1]

    @contextmanager
    def running(self) -> Iterator[Smarthost]:
        """Listen inside the block."""
        # Root has to say whom it shall become; -d writes a file for each mail.
        command = ["smtp-sink", "-u", "nobody", "-d", f"{self._folder}/mail."]
        process = subprocess.Popen([*command, f"127.0.0.1:{self.port}", "64"])
        try:
            until("the smarthost listens", lambda: listens(self.port), seconds=15)
            yield self
        finally:
            process.kill()
            process.wait()


def _read(octets: bytes) -> Taken:
    # The sink writes the envelope above the mail, as fields.
    mail = message_from_bytes(octets, policy=policy)
    return Taken(
        mail_from=str(mail["X-Mail-Args"]).split()[0].strip("<>"),
        to=str(mail["X-Rcpt-Args"]).split()[0].strip("<>"),
        mail=mail,
    )
