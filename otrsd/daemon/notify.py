"""Tell systemd what goes on: the sd_notify protocol, if ``NOTIFY_SOCKET`` is set.

sd_notify(3): one datagram of ``NAME=value`` lines; a name that begins with ``@`` is
an abstract socket. A failure is nobody's business: the daemon goes on.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

_MICROSECONDS = 1_000_000


class Notifier:
    """The line to systemd; does nothing where there is no systemd."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        #: Seconds between two signs of life; 0 where none are wanted.
        self.watchdog_seconds = _watchdog_seconds(environ) if name else 0.0

    def send(self, *lines: str) -> None:
        """Send the lines, as ``READY=1``."""
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as end:
            end.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, self._address)


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    wanted = environ.get("WATCHDOG_USEC", "")
    # The variable may be inherited from a service manager further up.
    meant_for = environ.get("WATCHDOG_PID", str(os.getpid()))
    if not wanted.isdigit() or meant_for != str(os.getpid()):
        return 0.0
    # Twice as often as demanded, as sd_watchdog_enabled(3) advises.
    return int(wanted) / _MICROSECONDS / 2
