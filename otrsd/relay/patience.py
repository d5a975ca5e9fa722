"""Patience: a submission that a stop of the daemon ends.

A mail that the smarthost takes at once is not disturbed. Where it hangs, the stop
waits ``GRACE`` seconds and cuts the connection: the mail counts as put off, and goes
again with the same Message-ID (row O05). Nothing is sent on a line that was cut.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from otrsd.control import Control
from otrsd.relay.submission import Line, Refused, Smarthost, Submitted, submit

#: Seconds that a mail in hand gets once a stop was asked for; then to break off.
GRACE, BREAK = 2.0, 1.0
#: Seconds between two looks whether a stop was asked for.
_LOOK = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """``Submit``, in a thread that can be left alone."""

    smarthost: Smarthost
    control: Control
    grace: float = GRACE

    def __call__(
        self, mail_from: str, rcpt_tos: Sequence[str], octets: bytes
    ) -> Submitted:
        """Hand one mail over, or break off."""
        line, result = Line(), Future[Submitted]()

        def hand_over() -> None:
            try:
                args = (self.smarthost, mail_from, rcpt_tos, octets, line)
                result.set_result(submit(*args))
            # Whatever it is: it is raised where somebody waits for it.
            except BaseException as error:  # noqa: BLE001 - see the comment above
                result.set_exception(error)

        thread = threading.Thread(target=hand_over, name="submission", daemon=True)
        thread.start()
        while thread.is_alive() and not self.control.stopping():
            thread.join(_LOOK)
        thread.join(self.grace)
        if thread.is_alive():
            line.cut()
            thread.join(BREAK)
        if not result.done():
            # It waits for a name or a connection: no octet of the mail has gone.
            stopped = Refused(text="otrsd was stopped before the smarthost answered")
            return Submitted(refused=dict.fromkeys(rcpt_tos, stopped), is_away=True)
        return result.result()
