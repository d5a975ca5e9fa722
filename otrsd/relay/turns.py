"""The loop of a lane: one turn after the other, and a rest where nothing is owed.

A database that is away ends no lane: it is told, and looked for again after the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otrsd.control import Control
from otrsd.errors import DatabaseAwayError

#: Seconds between two looks while nothing is owed.
REST = 0.5


def take_turns(
    control: Control,
    log: Any,
    turn: Callable[[], bool],
    away: Callable[[], float] = lambda: 0.0,
) -> None:
    """Take turns until a stop is asked for; ``turn`` tells whether there was work.

    ``away``: seconds to wait after a turn, as nothing can be done; 0: something can.
    """
    while not control.stopping():
        try:
            busy = turn()
        except DatabaseAwayError as error:
            log.warning("database.away", reason=str(error))
            busy = False
        seconds = away() or (0.0 if busy else REST)
        if seconds:
            control.wait(seconds)
