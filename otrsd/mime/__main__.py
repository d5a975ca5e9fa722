"""``python -m otrsd.mime PATH…``: what was read in each mail, one JSON line a mail.

A folder means every file below it. Each mail is read in a child process under limits
of its own, so that none can end the run: one that overruns is a line with the reason
in ``defects``. The child is used again as long as it is healthy. Exit 0 if every file
could be opened, 1 if not (stderr says which), 2 without a path.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from otrsd.mime.report import failure, report

SECONDS = 4.0
MEMORY_MIB = 512
#: Exit code of a run that a person interrupted.
_INTERRUPTED = 130
_FORK = multiprocessing.get_context("fork")
_Answer = dict[str, Any] | OSError


def main(arguments: Sequence[str]) -> int:
    """Write the lines; return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m otrsd.mime PATH...  (mails, or folders)\n")
        return 2
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    child = _Child()
    try:
        return _print(arguments, child)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has had enough; what is left has to go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        child.stop()


def _print(names: Sequence[str], child: _Child) -> int:
    wrong: list[OSError] = []
    for name in _files(names, wrong.append):
        answer = child.read(name)
        if isinstance(answer, OSError):
            wrong.append(answer)
            continue
        # ASCII alone: neither a locale nor a half character can break the line.
        sys.stdout.write(json.dumps({"file": name} | answer) + "\n")
        sys.stdout.flush()
    for error in wrong:
        sys.stderr.write(
            f"error: {error.filename}: {error.strerror}; check path and mode\n"
        )
    return 1 if wrong else 0


def _files(names: Sequence[str], failed: Callable[[OSError], None]) -> Iterator[str]:
    """Yield what is no folder, and every regular file below what is one."""
    for name in names:
        if not Path(name).is_dir():
            yield name
            continue
        for folder, folders, files in os.walk(name, onerror=failed):
            folders.sort()
            for each in sorted(files):
                path = Path(folder, each)
                if path.is_file():
                    yield str(path)


class _Child:
    """A process that reads mails, replaced when one was too much for it."""

    def __init__(self) -> None:
        self._pipe: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None

    def read(self, name: str) -> _Answer:
        """Return the report on one file."""
        pipe = self._pipe or self._start()
        pipe.send(name)
        if not pipe.poll(SECONDS):
            self.stop()
            return failure(f"reading took more than {SECONDS:g} s: given up")
        try:
            answer: _Answer | None = pipe.recv()
        except (EOFError, ConnectionError):
            self.stop()
            return failure("the process that read this mail died")
        if answer is None:
            self.stop()
            return failure(f"reading took more than {MEMORY_MIB} MiB: given up")
        return answer

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None and self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None

    def _start(self) -> Connection:
        ours, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=_serve, args=(theirs, ours), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe = ours
        return ours


def _serve(pipe: Connection, others: Connection) -> None:
    """Answer for one file after another; ``None`` where memory was short."""
    others.close()
    # A person who interrupts means the parent, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    while True:
        try:
            name = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_read(name))
        except MemoryError:
            pipe.send(None)
            return


def _read(name: str) -> _Answer:
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        return error
    return report(content) if content else failure("the mail is empty")


def _limit_memory() -> None:
    """Allow so much beside what the interpreter has already."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + (MEMORY_MIB << 20)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
