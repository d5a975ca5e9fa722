"""What a role's process hears from its supervisor, and what it tells it.

The supervisor implements :class:`Control` (``daemon/``); a test or ``--single``
brings its own. A role never installs signal handlers and never forks by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a process has in hand: written to shared memory, read when it dies.

    A postmaster writes one before each step, so that the supervisor can end a
    step that overruns, and so that its successor knows what was in hand.
    """

    #: Empty while it waits for work.
    stage: str = ""
    #: The mail in hand; empty in a batch step that concerns several.
    spool_id: str = ""
    #: Whether that mail is carried alone: only then its death is a strike.
    alone: bool = False
    #: The plugin whose code runs right now; empty for our own.
    plugin: str = ""
    #: Seconds this step may take; 0 means no limit.
    limit: float = 0.0


class Control(Protocol):
    """One role's tie to its supervisor."""

    @property
    def name(self) -> str:
        """Return the process's name: ``receiver``, ``postmaster-1`` …."""
        ...

    def fileno(self) -> int:
        """Return a descriptor that becomes readable once a stop is asked for."""
        ...

    def stopping(self) -> bool:
        """Tell whether a stop has been asked for."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait for a stop at most ``seconds``; tell whether it was asked for."""
        ...

    def ready(self) -> None:
        """Tell the supervisor that this role does its work now."""
        ...

    def note(self, work: Work) -> None:
        """Write down what is in hand, with the time; costs microseconds."""
        ...
