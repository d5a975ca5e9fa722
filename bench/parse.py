"""What reading a mail costs: an ordinary one, those of others, and hostile ones.

Each reading is timed by the CPU of this process. Memory is the most that a process of
its own had at one time while it read the largest hostile mails.
"""

from __future__ import annotations

import email
import email.policy
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from bench.hostile import MAILS
from bench.mails import letters
from bench.talk import say
from otrsd.mime.parse import parse

#: Where the mails of others lie, if they do.
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "corpus"
_ROUNDS, _TIMES = 7, 200
_FIELDS = ("from", "to", "cc", "reply-to", "sender", "subject", "date", "message-id")


def ordinary() -> dict[str, float | None]:
    """Hold an ordinary mail of 2 KB against the standard library, in turn."""
    content = letters(1, seed=1)[0].content
    pairs = [
        (_spent(parse, content), _spent(_standard, content)) for _ in range(_ROUNDS)
    ]
    ours = statistics.median(pair[0] for pair in pairs)
    say(f"   {len(content)} octets, {1000 / ours:.0f} mails/s on one core")
    return {
        "cpu_ms_plain": ours,
        "cpu_ratio_to_stdlib": statistics.median(a / b for a, b in pairs),
    }


def worst() -> dict[str, float | None]:
    """Read the mails of others and the hostile ones; the slowest one counts."""
    _others()
    slowest = 0.0
    for name, content in _made():
        spent = min(_spent(parse, content, times=1) for _ in range(2))
        slowest = max(slowest, spent)
        say(f"   {name:30} {len(content) / 1e6:6.1f} MB {spent:8.1f} ms")
    return {"worst_ms": slowest, "rss_peak_mib": _peak()}


def _others() -> None:
    """Tell how fast the mails of other projects are read."""
    folder = Path(os.environ.get("OTRSD_CORPUS", _BESIDE))
    index = folder / "expected.jsonl"
    if not index.is_file():
        say(f"   no mails of others at {folder}: set OTRSD_CORPUS to read them")
        return
    names = [json.loads(line)["file"] for line in index.open(encoding="utf-8")]
    contents = [(folder / name).read_bytes() for name in names]
    spent = [_spent(parse, content, times=1) for content in contents]
    say(
        f"   {len(contents)} mails of others: {1000 * len(spent) / sum(spent):.0f} "
        f"mails/s on one core, the slowest {max(spent):.1f} ms"
    )


def _made() -> Iterator[tuple[str, bytes]]:
    for name, make in MAILS.items():
        yield name, make()


def _standard(content: bytes) -> None:
    """Read what we read, by the standard library's better policy."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    for name in _FIELDS:
        str(message[name])
    body = message.get_body(("plain", "html"))
    if body is not None:
        body.get_content()


def _spent(
    read: Callable[[bytes], object], content: bytes, times: int = _TIMES
) -> float:
    """Return the CPU of one reading in milliseconds."""
    began = time.process_time()
    for _ in range(times):
        read(content)
    return (time.process_time() - began) * 1000 / times


def _peak() -> float:
    """Return the most memory, in MiB, that a process has for the largest mails.

    The mail itself counts; what makes it is in another process.
    """
    large = [name for name, content in _made() if len(content) > 20_000_000]
    context = multiprocessing.get_context("spawn")
    peaks: list[float] = []
    for name in large:
        ours, theirs = context.Pipe()
        process = context.Process(target=_read_one, args=(theirs,))
        process.start()
        ours.send_bytes(MAILS[name]())
        peaks.append(ours.recv())
        process.join()
        say(f"   {name:30} {peaks[-1]:6.0f} MiB at most")
    return max(peaks)


def _read_one(pipe: Connection) -> None:
    content = pipe.recv_bytes()
    parse(content)
    # Not ru_maxrss: the kernel hands that down from the parent process.
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = (x for x in status.splitlines() if x.startswith("VmHWM:"))
    pipe.send(int(line.split()[1]) / 1024)
