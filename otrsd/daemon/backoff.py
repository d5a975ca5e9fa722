"""When a dead child is started again: at once, then later and later.

A crash loop climbs the table and never spins. Health pays it back: a step for
every five seconds that the child lived, all of it after a minute, so that single
deaths hours apart cost no time. A death over a mail that was carried alone waits
at most half a second and climbs no further: its strikes end that loop, and other mails
are waiting.
"""

from __future__ import annotations

#: Seconds before the first, second … restart in a row.
DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
HEALTHY_SECONDS = 60.0
_SECONDS_A_STEP = 5.0
_MOST_OVER_A_MAIL = 0.5


class Backoff:
    """One child's place in the table of delays."""

    def __init__(self) -> None:
        self._step = 0

    def delay(self, lived: float, *, over_a_mail: bool = False) -> float:
        """Return the seconds to wait after a death; ``lived`` is its life before."""
        paid = len(DELAYS) if lived >= HEALTHY_SECONDS else int(lived / _SECONDS_A_STEP)
        self._step = max(0, self._step - paid)
        delay = DELAYS[self._step]
        if over_a_mail:
            self._step = max(self._step, DELAYS.index(_MOST_OVER_A_MAIL))
            return min(delay, _MOST_OVER_A_MAIL)
        self._step = min(self._step + 1, len(DELAYS) - 1)
        return delay
