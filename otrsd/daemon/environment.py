"""Empty what ``/proc/PID/environ`` shows of this process and of those it forks.

The kernel shows the memory in which the environment came, whatever the process does
with its variables. They are copied first, so every variable keeps its value for us,
for libraries, and for programs that a plugin starts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc/self")
#: Of the fields behind the name in proc_pid_stat(5): env_start, env_end.
_START, _END = 47, 48


def conceal() -> None:
    """Do it, where the kernel lets us: Linux."""
    for name, value in os.environ.items():
        os.environ[name] = value
    with suppress(OSError, ValueError, IndexError):
        fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_START]), int(fields[_END])
        with (_PROC / "mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(bytes(end - start))
