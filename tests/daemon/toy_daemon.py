"""A daemon with toy roles: ``toy_daemon.py STATE STOP_SECONDS NAME=BEHAVIOUR …``.

The log, in JSON on standard error, is the transcript that the tests read.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import structlog

from otrsd.clock import SystemClock
from otrsd.control import Control, Work
from otrsd.daemon import supervisor as supervisor_module
from otrsd.daemon.generation import Forked, Launch
from otrsd.daemon.lines import Lines
from otrsd.daemon.manner import Manner
from otrsd.daemon.roles import RANKS, Role
from otrsd.daemon.supervisor import Supervisor
from otrsd.daemon.threads import Threads
from otrsd.errors import ConfigError, SchemaError

MAIL = Work(stage="screen", spool_id="01ABC", alone=True, plugin="spam")


def say(event: str, **fields: object) -> None:
    structlog.get_logger().info(event, **fields)


def wait_for_stop(control: Control) -> None:
    while not control.wait(60):
        pass
    say("toy.ended")


def waits(control: Control, before: Work | None) -> None:
    say("toy.began", before=before and before.spool_id, plugin=before and before.plugin)
    control.ready()
    wait_for_stop(control)


def works(control: Control, before: Work | None) -> None:
    """Carry mail after mail; a mail that was begun is finished."""
    control.ready()
    begun = finished = 0
    while not control.stopping():
        begun += 1
        control.note(MAIL)
        sum(range(20_000))
        finished += 1
        control.note(Work())
    say("toy.worked", begun=begun, finished=finished)


def holds(control: Control, before: Work | None) -> None:
    """Have a mail in hand in the first life; wait in the second."""
    if before:
        waits(control, before)
        return
    control.note(MAIL)
    control.ready()
    wait_for_stop(control)


def hangs(control: Control, before: Work | None) -> None:
    """Hang in a step of the first life, deaf to everything."""
    if before:
        waits(control, before)
        return
    control.note(replace(MAIL, limit=0.3))
    control.ready()
    threading.Event().wait()


def deaf(control: Control, before: Work | None) -> None:
    control.ready()
    threading.Event().wait()


def sneaks_out(control: Control, before: Work | None) -> None:
    """Leave with exit code 0 and a mail in hand, as a plugin might."""
    if before:
        waits(control, before)
        return
    control.note(MAIL)
    control.ready()
    os._exit(0)


def dies_twice(control: Control, before: Work | None) -> None:
    """Die before the bookkeeping for the first death is done."""
    if before is None:
        control.note(MAIL)
        os.kill(os.getpid(), signal.SIGKILL)
    lives = Path(sys.argv[1], "lives")
    if not lives.exists():
        lives.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    waits(control, before)


def crashes(control: Control, before: Work | None) -> None:
    raise RuntimeError("boom\x1b[31m")


def returns(control: Control, before: Work | None) -> None:
    control.ready()


def fails_later(control: Control, before: Work | None) -> None:
    """Work in the first life, fail in the one that a reload starts."""
    lives = Path(sys.argv[1], "lives")
    if lives.exists():
        raise ConfigError("the port is taken")
    lives.touch()
    waits(control, before)


def too_new(control: Control, before: Work | None) -> None:
    raise SchemaError("the database was made by a newer otrsd; install that one")


def in_a_loop(control: Control, before: Work | None) -> None:
    """Wait as the receiver does, in an event loop that knows only descriptors."""

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(control.fileno(), stop.set)
        control.ready()
        await stop.wait()

    asyncio.run(main())
    say("toy.ended")


def in_uvloop(control: Control, before: Work | None) -> None:
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    in_a_loop(control, before)


def prepare() -> list[Role]:
    roles = []
    for argument in sys.argv[3:]:
        name, behaviour = argument.split("=")
        if behaviour == "ends_the_import":
            os._exit(0)
        if behaviour == "slow_to_load":
            threading.Event().wait(0.5)
            behaviour = "waits"
        if behaviour == "misconfigured":
            raise ConfigError("otrsd.yaml:3:1: no such key\nconfig/a.yaml:1:1: no")
        start, stop = RANKS[name.split("-")[0]]
        run = globals()[behaviour]
        roles.append(Role(name=name, run=run, start=start, stop=stop))
    return roles


def without_room() -> int:
    """Fork as on a machine with too many processes: the next time there is room."""
    os.fork = FORK
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


FORK = os.fork


def main() -> int:
    clock = SystemClock()
    if "TOY_WITHOUT_ROOM" in os.environ:
        os.fork = without_room
    supervisor_module._SLOW_SECONDS = 0.1
    state = Path(sys.argv[1])
    launch: Launch = Threads(state) if "TOY_SINGLE" in os.environ else Forked
    supervisor = Supervisor(
        prepare,
        state=state,
        log=Lines(2, clock, as_json=True),
        clock=clock,
        environ=os.environ,
        manner=Manner(stop_seconds=float(sys.argv[2]), launch=launch),
    )
    code = supervisor.run()
    # As `otrsd run --single` does: a deaf thread must not keep the process.
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
