"""One template and its children, as the supervisor holds them.

A reload makes a second generation beside the first, so nothing here is shared
between two: each has its own stream, its own slots and its own books. What a template
and its children are made of is their :class:`Body`: forked processes, or threads
(:mod:`otrsd.daemon.threads`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, Protocol

from otrsd.clock import Clock
from otrsd.daemon.children import Child, Death, cause_of
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
    wires,
)
from otrsd.daemon.roles import Prepare
from otrsd.daemon.slots import Slots

#: Room for so many children; a slot is 512 octets.
MOST_CHILDREN = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a generation needs of its supervisor."""

    prepare: Prepare
    log: Lines
    clock: Clock
    #: Write end of the supervisor's wake-up pipe: children say "ready" on it.
    wake: int
    #: The supervisor's own descriptors, closed in the template.
    foreign: tuple[int, ...]
    #: Starts a template at the other end of the stream.
    launch: Launch
    #: Whether everything is coming to its end.
    stopping: Callable[[], bool]


#: Starts a template: what is around it, our end of the stream, its own.
Launch = Callable[["Surroundings", Wire, Wire], "Body"]


class Body(Protocol):
    """A running template; it owns its end of the stream."""

    pid: int
    slots: Slots

    def reap(self, *, block: bool = False) -> int | None:
        """Return the template's exit code if it has ended."""
        ...

    def end(self, children: Sequence[Child]) -> int | None:
        """End it now with the children it left, as far as that can be done."""
        ...


class Generation:
    """A template and its children; made by starting the template.

    Raises OSError where the machine has no room for another process.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.wire, theirs = wires()
        self.born = around.clock.monotonic()
        #: Whether the template has said which roles there are.
        self.loaded = False
        #: Why it could not load, if it could not.
        self.refused: Refused | None = None
        self.children: dict[str, Child] = {}
        try:
            self._body = around.launch(around, self.wire, theirs)
        except OSError:
            self.wire.close()
            theirs.close()
            raise
        self.pid = self._body.pid

    def living(self) -> list[Child]:
        """Return the children that are not known to be dead."""
        return [child for child in self.children.values() if child.ordered]

    def ready(self) -> bool:
        """Tell whether every role does its work."""
        return self.loaded and all(child.ready for child in self.children.values())

    def hear(self) -> list[tuple[Death, int]]:
        """Take in what the template says; return the deaths with their exit codes."""
        deaths = []
        for message in self.wire.receive():
            match message:
                case Loaded(roles=roles):
                    self._open_books(roles)
                case Refused():
                    self.refused = message
                case Started(name=name, pid=pid):
                    self.children[name].pid = pid
                    self._around.log.info("child.started", name=name, pid=pid)
                case Died(name=name, code=code, said=said):
                    death = self.children[name].died(cause_of(code), code, said=said)
                    deaths.append((death, code))
                case _:
                    raise ValueError(message)
        return deaths

    def start(self, child: Child) -> None:
        """Have ``child`` forked."""
        predecessor = child.order_start()
        name, slot = child.line.name, child.slot_index
        self.wire.send(Start(name=name, slot=slot, predecessor=predecessor))

    def stop(self, child: Child) -> None:
        """Ask ``child`` to finish what it has in hand and end."""
        child.asked = True
        self.wire.send(Stop(name=child.line.name))

    def kill(self, child: Child, reason: str) -> None:
        """End ``child`` at once."""
        child.killed_for = reason
        self.wire.send(Kill(name=child.line.name))

    def wreck(self) -> int:
        """End the template and whatever it left behind; return its exit code."""
        living = self.living()
        code = self._body.end(living)
        for child in living:
            child.died("its template died", innocent=True)
        self.close()
        return code or 0

    def reap(self, *, block: bool = False) -> int | None:
        """Return the template's exit code if it has ended."""
        return self._body.reap(block=block)

    def close(self) -> None:
        """Give stream and slots back."""
        self.wire.close()
        self._body.slots.close()

    def _open_books(self, roles: tuple[RoleLine, ...]) -> None:
        self.loaded = True
        clock = self._around.clock
        for index, line in enumerate(roles):
            child = Child(line, index, self._body.slots[index], clock)
            self.children[line.name] = child


class Forked:
    """A template that is a process, and so are its children."""

    def __init__(self, around: Surroundings, ours: Wire, theirs: Wire) -> None:
        self.slots = Slots(MOST_CHILDREN)
        self._code: int | None = None
        parent = os.getpid()
        try:
            self.pid = os.fork()
        except OSError:
            self.slots.close()
            raise
        if self.pid == 0:
            ours.close()
            _become_template(around, parent, theirs, self.slots)
        theirs.close()

    def reap(self, *, block: bool = False) -> int | None:
        """Return the template's exit code if it has ended."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, 0 if block else os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def end(self, children: Sequence[Child]) -> int | None:
        """Kill the template and the children it left; return its exit code."""
        if self.reap() is None:
            os.kill(self.pid, signal.SIGKILL)
        code = self.reap(block=True)
        for child in children:
            # The kernel has done so already where it knows how to (prctl).
            if child.pid:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
        return code


def _become_template(
    around: Surroundings, parent: int, wire: Wire, slots: Slots
) -> NoReturn:
    # Only here: what the template imports must not weigh on the supervisor.
    from otrsd.daemon.template import Inheritance, run_template  # noqa: PLC0415

    given = Inheritance(
        parent=parent,
        wire=wire,
        slots=slots,
        wake=around.wake,
        foreign=around.foreign,
        log=around.log.renamed("template"),
        clock=around.clock,
    )
    run_template(given, around.prepare)
