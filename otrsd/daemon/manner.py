"""How a daemon is run; what a production daemon does is the default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otrsd.daemon.generation import Forked, Launch
from otrsd.daemon.halt import STOP_SECONDS


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a supervisor does its work."""

    #: What an ordered stop may take.
    stop_seconds: float = STOP_SECONDS
    #: Starts templates: as processes, or as threads of this one.
    launch: Launch = Forked
    #: Tells, once, that a file has changed and a reload is wanted.
    has_changed: Callable[[], bool] = _never
