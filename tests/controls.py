"""What a role is given in this process, where nobody supervises it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from otrsd.control import Work


@dataclass
class Quiet:
    """A Control that nobody asks to stop, unless a test sets ``stop``."""

    name: str
    notes: list[Work] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def fileno(self) -> int:
        return -1

    def stopping(self) -> bool:
        return self.stop.is_set()

    def wait(self, seconds: float) -> bool:
        return self.stop.is_set()

    def ready(self) -> None:
        return None

    def note(self, work: Work) -> None:
        self.notes.append(work)
