"""Take something away in the middle of the load, give it back, and count.

The database: PostgreSQL stopped as a power cut would, SQLite locked by somebody else.
The disk: a small one that is filled to the last octet, or, where none can be mounted,
a limit on the size of files. Mail is still received or refused for now, nothing is
lost, and everything goes on by itself once the cause is gone.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.databases import Cluster
from bench.ledger import Reader
from bench.processes import MIB, below
from bench.reckoning import Reckoning, drain, reckon
from bench.senders import RULE, Senders, Spec
from bench.site import Daemon, Site, Wishes, composed, make_site
from bench.talk import say
from bench.waiting import CLOCK, NotInTimeError, pause, until

#: Seconds of load before and after.
BEFORE, AFTER = 4.0, 4.0
#: Seconds within which mail must be taken again once the cause is gone.
GOOD_AGAIN = 30.0
#: A disk of this size, and the limit of a file's size where there is no such disk.
DISK = 96 * MIB
FILE_LIMIT = 64 * 1024
_ROOT = Path(__file__).parent.parent

#: Takes something away from a daemon while it is open.
Outage = Callable[[Daemon], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What clients were told meanwhile."""

    acknowledged: int
    later: tuple[str, ...]
    #: Seconds from the end of the outage to the first acknowledged mail.
    good_again: float


def endure(
    folder: Path, site: Site, outage: Outage, *, seconds: float, seed: int
) -> tuple[Reckoning, Answers]:
    """Load a site, take something away for ``seconds``, drain, count."""
    ledger = Reader(folder / "ledger")
    with ExitStack() as stack:
        daemon = Daemon(site)
        stack.callback(daemon.kill)
        daemon.start()
        roles = daemon.roles()
        senders = Senders(_spec(site, ledger.path, seed), dict(os.environ))
        stack.callback(senders.kill)
        pause(BEFORE)
        began = len(ledger.read().acks)
        with outage(daemon):
            pause(seconds)
            during = len(ledger.read().acks) - began
        over = CLOCK.monotonic()
        until(
            "mail is taken again",
            lambda: max(ledger.read().acks.values(), default=0.0) > over,
            seconds=GOOD_AGAIN,
        )
        again = min(at for at in ledger.acks.values() if at > over) - over
        pause(AFTER)
        senders.finish()
        with composed(site) as app:
            drain(app)
            if daemon.roles() != roles:
                raise NotInTimeError(f"a process has died of it:\n{daemon.tail()}")
            if daemon.stop() != 0:
                raise NotInTimeError(f"the daemon did not stop well:\n{daemon.tail()}")
            found = reckon(app, ledger.read())
    answers = Answers(acknowledged=during, later=tuple(ledger.later), good_again=again)
    say(f"{during} mails acknowledged meanwhile, the first {again:.1f} s afterwards")
    for reply, count in ledger.later.most_common(6):
        say(f"  {count} times: {reply}")
    return found, answers


def _spec(site: Site, ledger: Path, seed: int) -> Spec:
    return Spec(
        smtp=site.smtp,
        lmtp=site.lmtp,
        config=str(site.config),
        ledger=str(ledger),
        seed=seed,
    )


# The database.


def without_postgresql(folder: Path, *, seconds: float, seed: int) -> Reckoning:
    """Stop PostgreSQL at once in the middle of the load."""
    cluster = Cluster(folder / "postgresql")

    @contextmanager
    def outage(_daemon: Daemon) -> Iterator[None]:
        cluster.stop()
        try:
            yield
        finally:
            cluster.start()

    cluster.start()
    try:
        wishes = Wishes(workers=2, more=RULE, database=cluster.url)
        site = make_site(folder / "site", wishes)
        found, answers = endure(folder, site, outage, seconds=seconds, seed=seed)
    finally:
        with suppress(NotInTimeError):
            cluster.stop()
    return _received_all_the_same(found, answers)


def without_sqlite(folder: Path, *, seconds: float, seed: int) -> Reckoning:
    """Let somebody else lock SQLite in the middle of the load."""
    site = make_site(folder / "site", Wishes(workers=2, more=RULE))

    @contextmanager
    def outage(_daemon: Daemon) -> Iterator[None]:
        program = [sys.executable, "-m", "bench.outages", str(site.state / "desk.db")]
        pipe = subprocess.PIPE
        with subprocess.Popen(program, cwd=_ROOT, stdin=pipe, stdout=pipe) as other:
            if not other.stdout or not other.stdout.readline():
                raise NotInTimeError("the other process got no lock")
            yield
            other.communicate(b"enough\n")

    found, answers = endure(folder, site, outage, seconds=seconds, seed=seed)
    return _received_all_the_same(found, answers)


def _received_all_the_same(found: Reckoning, answers: Answers) -> Reckoning:
    wrong = list(found.wrong)
    if answers.acknowledged == 0:
        wrong.append("no mail was received while the database was away")
    wrong += [f"an answer without a cause: {each}" for each in answers.later]
    return replace(found, wrong=tuple(wrong))


def hold_exclusively(path: str) -> int:
    """Lock a SQLite file until a line comes on standard input."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    print("locked", flush=True)
    sys.stdin.readline()
    connection.execute("ROLLBACK")
    connection.close()
    return 0


# The disk.


def without_room(folder: Path, *, seconds: float, seed: int) -> Reckoning:
    """Fill the disk under the state folder, or limit the size of files."""
    site = make_site(folder / "site", Wishes(workers=2, more=RULE, min_free=0))
    site.state.mkdir(mode=0o700)
    if _mount(site.state):
        say(f"the state lies on a disk of {DISK // MIB} MiB, which is filled")
        outage: Outage = _filled
    else:
        say(f"no disk can be mounted here: files may not grow past {FILE_LIMIT} octets")
        outage = _limited
    found, answers = endure(folder, site, outage, seconds=seconds, seed=seed)
    right = ("smtp 452 ", "lmtp 452 ", "pipe 400 exit 75 ")
    wrong = [
        f"not an answer to a full disk: {each}"
        for each in answers.later
        if not each.startswith(right)
    ]
    if not answers.later:
        wrong.append("nobody was refused: the disk was not full")
    return replace(found, wrong=(*found.wrong, *wrong))


def may_mount() -> list[str]:
    """Return how to get a mount namespace of our own; empty where there is none."""
    for flags in (["-m"], ["-Urm"]):
        command = ["unshare", *flags]
        tried = ["sh", "-c", "mount -t tmpfs none /mnt"]
        with suppress(OSError):
            done = subprocess.run([*command, *tried], check=False, capture_output=True)
            if done.returncode == 0:
                return command
    return []


def _mount(place: Path) -> bool:
    """Mount a small disk, if this process was put into a namespace for it."""
    if os.environ.get("OTRSD_TORTURE_MOUNT") != "yes":
        return False
    options = f"size={DISK},mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    return subprocess.run(command, check=False).returncode == 0


@contextmanager
def _filled(daemon: Daemon) -> Iterator[None]:
    ballast = daemon.site.state / "ballast"
    with ballast.open("wb", buffering=0) as file:
        _fill(file.fileno())
    try:
        yield
    finally:
        ballast.unlink()


def _fill(descriptor: int) -> None:
    """Write until not one octet more fits."""
    size = MIB
    while size:
        try:
            os.write(descriptor, bytes(size))
        except OSError:
            size //= 2


@contextmanager
def _limited(daemon: Daemon) -> Iterator[None]:
    pids = below(daemon.pid)
    endless = resource.RLIM_INFINITY
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FILE_LIMIT, endless))
    try:
        yield
    finally:
        for pid in below(daemon.pid):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (endless, endless))


if __name__ == "__main__":
    sys.exit(hold_exclusively(sys.argv[1]))
