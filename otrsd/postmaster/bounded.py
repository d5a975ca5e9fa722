"""One run of another program on a stranger's data: bounded in time, memory, output.

In: the command and what it reads. Out: its exit code, its output and what it said. A
program that overruns is killed and counts as failed. Never raises.
"""

from __future__ import annotations

import os
import resource
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

#: Octets of output; of what it says beside that.
OUTPUT, SAID = 48 * 1024 * 1024, 64 * 1024
#: Octets of address space.
MEMORY = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended."""

    #: -1: it could not be run, overran, or wrote too much; ``said`` tells.
    code: int
    out: bytes = b""
    said: str = ""


class _TooMuchError(Exception):
    """More output than anything honest has."""


def run(command: Sequence[str], data: bytes, seconds: float) -> Ran:
    """Run ``command`` with ``data`` as stdin for at most ``seconds``."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(data)
        given.seek(0)
        try:
            child = subprocess.Popen(  # noqa: S603 - a fixed command of ours
                command,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=said,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                cwd="/",
            )
        except OSError as error:
            return Ran(code=-1, said=f"{command[0]} can't be run: {error.strerror}")
        with child:
            _limit(child.pid, seconds)
            out, failure = _output(child, seconds)
        said.seek(0)
        text = said.read(SAID).decode("utf-8", "replace")
    if failure:
        return Ran(code=-1, said=f"{command[0]} {failure}")
    return Ran(code=child.returncode, out=out, said=text)


def _output(child: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, str]:
    """Read all output; kill what does not end. Return it, or why it was killed."""
    until = monotonic() + seconds
    try:
        out = b"".join(_chunks(child, until))
        child.wait(max(0.1, until - monotonic()))
    except _TooMuchError:
        failure = f"wrote more than {OUTPUT >> 20} MiB"
    except (TimeoutError, subprocess.TimeoutExpired):
        failure = f"took more than {seconds:.0f} seconds"
    else:
        return out, ""
    child.kill()
    return b"", failure


def _chunks(child: subprocess.Popen[bytes], until: float) -> Iterator[bytes]:
    if child.stdout is None:
        raise AssertionError("its output is a pipe")
    descriptor, room = child.stdout.fileno(), OUTPUT
    while True:
        left = max(0.0, until - monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            return
        room -= len(chunk)
        if room < 0:
            raise _TooMuchError
        yield chunk


def _limit(pid: int, seconds: float) -> None:
    if not hasattr(resource, "prlimit"):
        return
    cpu = int(seconds) + 1
    with suppress(OSError, ValueError):
        resource.prlimit(pid, resource.RLIMIT_CPU, (cpu, cpu))
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
