"""What a daemon keeps in memory, and what the pipe costs beside a bare interpreter.

:func:`idle_and_big` starts a daemon with two workers, looks at the sum of PSS after a
minute, then gives it one part of 25 MiB, base64 and 8-bit, and watches how far the
sum rises and whether it comes back. :func:`pipe` fits into that minute.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from base64 import encodebytes
from pathlib import Path
from statistics import median

from bench import mails
from bench.ingest import drained
from bench.processes import MIB, Peak, below, pss
from bench.site import BIN, OTRSD, Daemon, Site, Wishes, composed, make_site, running
from bench.smtp_load import Client
from bench.talk import say
from bench.waiting import CLOCK, NotInTimeError, pause, until

IDLE_AFTER = 60.0
PART = 25 * MIB
#: What may stay of a big mail, and for how long at most.
RESIDUE, BACK_WITHIN = 20 * MIB, 60.0
RUNS = 40
_HEAD = """From: Somebody <big@customer.example>\r
To: support@example.com\r
Subject: one large part\r
Message-ID: <{name}@customer.example>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="part"\r
\r
--part\r
Content-Type: text/plain\r
\r
See the file.\r
--part\r
Content-Type: application/octet-stream; name="large.bin"\r
Content-Disposition: attachment; filename="large.bin"\r
Content-Transfer-Encoding: {encoding}\r
\r
"""
_TAIL = b"\r\n--part--\r\n"


def idle_and_big(folder: Path) -> dict[str, float | None]:
    """Measure memory: at rest, and with a part of 25 MiB."""
    site = make_site(folder, Wishes(workers=2, max_size="40MB"))
    with running(Daemon(site)) as daemon:
        ready = CLOCK.monotonic()
        ratio = pipe(site)
        pause(max(0.0, ready + IDLE_AFTER - CLOCK.monotonic()))
        idle = pss(below(daemon.pid))
        say(f"sum of PSS at rest: {idle / MIB:.1f} MiB; {_by_process(daemon)}")
        with composed(site) as app:
            until("the pipe's mails are tickets", lambda: drained(app), seconds=30)
        rises = [_rise(daemon, folder, name, idle) for name in ("base64", "8bit")]
    return {
        "pss_idle_mib": idle / MIB,
        "pss_ratio_25mib": max(rises) / PART,
        "pipe_cpu_ratio": ratio,
    }


def _rise(daemon: Daemon, folder: Path, encoding: str, idle: int) -> float:
    """Send one big mail; return how far the sum of PSS rose."""
    site = daemon.site
    path = folder / encoding
    letter = mails.Letter(
        sender="big@customer.example",
        recipient="support@example.com",
        message_id=encoding,
        word="",
        content=_big(encoding),
    )
    mails.save(path, [letter])
    client = Client(site.smtp, path, connections=1)
    del letter
    before = pss(below(daemon.pid))
    with Peak(daemon.pid) as peak, composed(site) as app:
        client.go()
        figures = client.figures()
        if figures["sent"] != 1:
            raise NotInTimeError(f"the big mail was not taken: {figures}")
        until("the big mail is a ticket", lambda: drained(app), seconds=60)
        done = CLOCK.monotonic()
        until(
            f"memory is given back after {encoding}: {idle / MIB:.0f} MiB at rest",
            lambda: peak.last <= idle + RESIDUE,
            seconds=BACK_WITHIN,
        )
        back = CLOCK.monotonic() - done
    rise = peak.highest - before
    say(
        f"25 MiB in {encoding}: {before / MIB:.0f} MiB rise by {rise / MIB:.0f} MiB,"
        f" back {back:.1f} s after the ticket"
    )
    return rise


def _big(encoding: str) -> bytes:
    """Return a mail with one part of 25 MiB."""
    chance = random.Random(25)
    head = _HEAD.format(name=encoding, encoding=encoding).encode()
    octets = chance.randbytes(PART)
    if encoding == "base64":
        return head + encodebytes(octets).replace(b"\n", b"\r\n") + _TAIL
    # 8-bit text may hold every octet but NUL, CR and LF, in lines of 998.
    clean = octets.translate(
        bytes(each if each > 31 else each + 160 for each in range(256))
    )
    lines = [clean[n : n + 900] for n in range(0, PART, 902)]
    return head + b"\r\n".join(lines) + _TAIL


def _by_process(daemon: Daemon) -> str:
    roles = daemon.roles()
    rest = below(daemon.pid) - set(roles.values())
    parts = {name: pss({pid}) for name, pid in roles.items()} | {"rest": pss(rest)}
    return ", ".join(f"{name} {octets / MIB:.0f}" for name, octets in parts.items())


def pipe(site: Site) -> float:
    """Return the CPU of ``otrsd pipe`` by that of ``python -c pass``, run in turn."""
    letters = mails.letters(RUNS, seed=6)
    interpreter = str(BIN / Path(sys.executable).name)
    ours, bare = [], []
    for letter in letters:
        bare.append(_cpu([interpreter, "-c", "pass"], b""))
        arguments = ["pipe", "-c", str(site.config), "-f", letter.sender]
        ours.append(_cpu([*OTRSD, *arguments, letter.recipient], letter.content))
    say(
        f"CPU of otrsd pipe {median(ours) * 1000:.1f} ms,"
        f" of python -c pass {median(bare) * 1000:.1f} ms, {RUNS} runs each in turn"
    )
    return median(ours) / median(bare)


def _cpu(command: list[str], given: bytes) -> float:
    """Run a command; return the seconds of CPU it used."""
    reader, writer = os.pipe()
    # A mail of two kilobytes fits into the pipe as a whole.
    os.write(writer, given)
    os.close(writer)
    process = subprocess.Popen(
        command, stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    os.close(reader)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    told = process.stderr.read() if process.stderr else b""
    process.communicate()
    if process.returncode:
        raise NotInTimeError(f"{command}: exit {process.returncode}: {told!r}")
    return used.ru_utime + used.ru_stime
