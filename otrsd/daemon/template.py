"""The template process: imports everything once, opens nothing, forks the children.

The supervisor forks it before anything heavy is imported. It calls ``prepare``
(imports, configuration, plugins), freezes what that made, says which roles there
are, and then forks a role whenever it is told to and reports the death of each. A
reload starts a second template while the children of the first finish.

Ends when the stream to the supervisor ends: at once if no child is left, which is
the ordered stop; else, the supervisor having been killed, the children are asked to
stop and get a few seconds. ``prepare`` must leave no thread and no open file behind.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from otrsd.clock import Clock
from otrsd.daemon.child import live
from otrsd.daemon.control import RoleControl
from otrsd.daemon.lines import Lines
from otrsd.daemon.messages import (
    Died,
    Kill,
    Loaded,
    Refused,
    RoleLine,
    Start,
    Started,
    Stop,
    Wire,
)
from otrsd.daemon.parent_death import die_with_parent, outlive_parent, show_name
from otrsd.daemon.roles import Prepare, Role
from otrsd.daemon.slots import Slots
from otrsd.errors import OtrsdError

#: What the children of a killed supervisor get to finish the mail in hand.
ORPHAN_SECONDS = 5.0
#: Octets of a child's last word.
_LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """What a template gets from the supervisor that forks it."""

    #: Process id of the supervisor.
    parent: int
    wire: Wire
    slots: Slots
    #: Write end of the supervisor's wake-up pipe.
    wake: int
    #: Descriptors that belong to the supervisor alone: closed first.
    foreign: tuple[int, ...]
    log: Lines
    clock: Clock


@dataclass(slots=True, kw_only=True)
class Offspring:
    """A child as its template knows it."""

    name: str
    #: Closing it asks the child to stop; ``None`` once that is done.
    stop: socket.socket | None

    def last_word(self) -> str:
        """Return what the dead child has said of its end."""
        said = b""
        with suppress(OSError):
            said = self.stop.recv(_LONGEST, socket.MSG_DONTWAIT) if self.stop else b""
        return said.decode("utf-8", "replace")

    def ask_to_stop(self) -> None:
        """Ask the child to stop."""
        if self.stop is not None:
            self.stop.close()
            self.stop = None


def run_template(given: Inheritance, prepare: Prepare) -> NoReturn:
    """Be the template; never returns, the process ends here."""
    _settle_in(given)
    try:
        roles = prepare()
    except BaseException as error:  # noqa: BLE001 - plugins may raise anything
        given.wire.send(refusal(error))
        os._exit(1)
    _settle_in_again(given)
    forks = _Forks(given, {role.name: role for role in roles})
    given.wire.send(Loaded(roles=tuple(line_of(role) for role in roles)))
    forks.serve()
    os._exit(0)


def _settle_in(given: Inheritance) -> None:
    for descriptor in given.foreign:
        os.close(descriptor)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A terminal sends these to the whole group; only the supervisor decides.
        signal.signal(number, signal.SIG_IGN)
    if not die_with_parent(given.parent):
        os._exit(1)
    show_name("template")
    # No collection while importing: it would only look at what stays anyway.
    gc.disable()


def _settle_in_again(given: Inheritance) -> None:
    # Imported plugins may have changed the handlers or started something.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    outlive_parent()
    strays = [thread.name for thread in threading.enumerate()[1:]]
    if strays:
        given.log.warning("template.has_threads", threads=", ".join(strays))
    gc.collect()
    gc.freeze()


def line_of(role: Role) -> RoleLine:
    """Return what the supervisor knows of a role."""
    return RoleLine(name=role.name, start=role.start, stop=role.stop)


def refusal(error: BaseException) -> Refused:
    """Return what tells the supervisor why nothing could be loaded."""
    if isinstance(error, OtrsdError):
        return Refused(text=str(error), exit_code=error.exit_code)
    return Refused(text=f"{type(error).__name__}: {error}", exit_code=1)


class _Forks:
    """The template's children."""

    def __init__(self, given: Inheritance, roles: dict[str, Role]) -> None:
        self._given = given
        self._roles = roles
        self._by_pid: dict[int, Offspring] = {}
        self._pid = os.getpid()
        self._signalled, wake = os.pipe()
        for end in (self._signalled, wake):
            os.set_blocking(end, False)
        self._wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(given.wire, selectors.EVENT_READ)
        self._selector.register(self._signalled, selectors.EVENT_READ)

    def serve(self) -> None:
        """Do what the supervisor says until its stream ends."""
        wire = self._given.wire
        while not wire.ended:
            self._wait(None)
            for message in wire.receive():
                match message:
                    case Start():
                        self._fork(message)
                    case Stop(name=name):
                        self._find(name).ask_to_stop()
                    case Kill(name=name):
                        self._kill(name)
                    case _:
                        raise ValueError(message)
            self._reap()
        self._end_orphans()

    def _wait(self, seconds: float | None) -> None:
        self._selector.select(seconds)
        with suppress(BlockingIOError):
            os.read(self._signalled, 4096)

    def _find(self, name: str) -> Offspring:
        found = [fork for fork in self._by_pid.values() if fork.name == name]
        return found[0] if found else Offspring(name=name, stop=None)

    def _kill(self, name: str) -> None:
        for pid, fork in self._by_pid.items():
            if fork.name == name:
                # Not yet reaped, so the number can't be somebody else's.
                os.kill(pid, signal.SIGKILL)

    def _fork(self, order: Start) -> None:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError as error:
            # No memory or too many processes: a death like any other, with back-off.
            log = self._given.log
            log.write("error", "child.not_forked", name=order.name, cause=error)
            ours.close()
            theirs.close()
            self._given.wire.send(Died(name=order.name, pid=0, code=1))
            return
        if pid == 0:
            ours.close()
            self._become(order, theirs)
        theirs.close()
        self._by_pid[pid] = Offspring(name=order.name, stop=ours)
        self._given.wire.send(Started(name=order.name, pid=pid))

    def _become(self, order: Start, end: socket.socket) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (self._signalled, self._wake):
            os.close(descriptor)
        self._selector.close()
        self._given.wire.close()
        for sibling in self._by_pid.values():
            # A sibling must read the end of its stream although we live.
            sibling.ask_to_stop()
        slot = self._given.slots[order.slot]
        control = RoleControl(
            order.name, end, slot, self._given.wake, self._given.clock
        )
        log = self._given.log.renamed(order.name)
        live(self._roles[order.name], control, order.predecessor, self._pid, log)

    def _reap(self) -> None:
        while self._by_pid:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            fork = self._by_pid.pop(pid, None)
            if fork is not None:
                said = fork.last_word()
                fork.ask_to_stop()
                code = os.waitstatus_to_exitcode(status)
                died = Died(name=fork.name, pid=pid, code=code, said=said)
                self._given.wire.send(died)

    def _end_orphans(self) -> None:
        for fork in self._by_pid.values():
            fork.ask_to_stop()
        monotonic = self._given.clock.monotonic
        # The stream is at its end and would wake us for ever.
        self._selector.unregister(self._given.wire)
        deadline = monotonic() + ORPHAN_SECONDS
        while self._by_pid and monotonic() < deadline:
            self._wait(deadline - monotonic())
            self._reap()
        for pid in self._by_pid:
            os.kill(pid, signal.SIGKILL)
