"""The two kinds of :class:`otrsd.control.Control`: in a forked child, in a thread.

``RoleControl`` is a child's tie to template and supervisor. Its descriptor becomes
readable when the template closes the other end, which happens when a stop is asked
for and when the template dies; SIGTERM to the child alone has the same effect.
``ThreadControl`` serves tests and ``--single``: somebody calls ``ask_to_stop``.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

from otrsd.clock import Clock
from otrsd.control import Control, Work
from otrsd.daemon.slots import Slot

_MILLISECONDS = 1000
#: Octets of a last word, and how it is sent: nobody may have to wait for it.
_LONGEST = 16 * 1024
_NOW = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


class _StopEnd:
    """One end of a socket pair that reads as ended once a stop is asked for."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._asked = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._end.fileno()

    def asked(self) -> bool:
        """Tell whether a stop has been asked for."""
        return self._asked or self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait for it at most ``seconds``."""
        if not self._asked:
            poll = select.poll()
            # A descriptor that somebody closed under us reads as "stop" (POLLNVAL).
            poll.register(self.fileno(), select.POLLIN)
            self._asked = bool(poll.poll(seconds * _MILLISECONDS))
        return self._asked

    def tell(self, text: str) -> None:
        """Say something to the other side, which reads it when we are dead."""
        with suppress(OSError):
            self._end.send(text.encode("utf-8", "replace")[:_LONGEST], _NOW)

    def ask(self) -> None:
        """Ask for the stop from this side; safe in a signal handler."""
        self._asked = True
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RD)


class RoleControl:
    """A forked child's tie to its supervisor."""

    def __init__(
        self, name: str, end: socket.socket, slot: Slot, wake: int, clock: Clock
    ) -> None:
        self._name = name
        self._stop = _StopEnd(end)
        self._slot = slot
        self._wake = wake
        self._monotonic = clock.monotonic

    def ask_to_stop(self) -> None:
        """Ask for the stop from inside; this is what SIGTERM does."""
        self._slot.mark_asked()
        self._stop.ask()

    def last_word(self, text: str) -> None:
        """Leave the reason of this role's end with the template."""
        self._stop.tell(text)

    @property
    def name(self) -> str:
        """Return the process's name: ``receiver``, ``postmaster-1`` …."""
        return self._name

    def fileno(self) -> int:
        """Return a descriptor that becomes readable once a stop is asked for."""
        return self._stop.fileno()

    def stopping(self) -> bool:
        """Tell whether a stop has been asked for."""
        return self._stop.asked()

    def wait(self, seconds: float) -> bool:
        """Wait for a stop at most ``seconds``; tell whether it was asked for."""
        return self._stop.wait(seconds)

    def ready(self) -> None:
        """Tell the supervisor that this role does its work now."""
        self._slot.mark_ready()
        with suppress(OSError):
            os.write(self._wake, b"r")

    def note(self, work: Work) -> None:
        """Write down what is in hand, with the time; costs microseconds."""
        self._slot.note(work, self._monotonic())


class ThreadControl:
    """A role's control where it runs in a thread of this process."""

    def __init__(self, name: str = "role") -> None:
        self._name = name
        ours, self._theirs = socket.socketpair()
        self._end = ours
        self._stop = _StopEnd(ours)
        #: Whether the role has called ``ready()``.
        self.is_ready = False
        #: What the role has noted last.
        self.work = Work()

    @property
    def name(self) -> str:
        """Return the name that was given."""
        return self._name

    def ask_to_stop(self) -> None:
        """Ask the role to stop."""
        self._theirs.close()

    def close(self) -> None:
        """Give the descriptors back."""
        self._theirs.close()
        self._end.close()

    def fileno(self) -> int:
        """Return a descriptor that becomes readable once a stop is asked for."""
        return self._stop.fileno()

    def stopping(self) -> bool:
        """Tell whether a stop has been asked for."""
        return self._stop.asked()

    def wait(self, seconds: float) -> bool:
        """Wait for a stop at most ``seconds``; tell whether it was asked for."""
        return self._stop.wait(seconds)

    def ready(self) -> None:
        """Note that the role does its work now."""
        self.is_ready = True

    def note(self, work: Work) -> None:
        """Keep what is in hand."""
        self.work = work


def _conforms(child: RoleControl, thread: ThreadControl) -> tuple[Control, Control]:
    # The type checker proves here that both keep the contract.
    return child, thread
