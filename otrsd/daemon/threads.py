"""All roles as threads of one process: ``otrsd run --single``.

To the supervisor this is a template like any other, at the other end of the same
stream; it shares memory, and the end of the process. A thread can't be ended: where a
step overruns, the whole process starts anew in its place (exec), under the same process
id. What each role has in hand stands in a file of the state folder, so that the next
process knows it, whether we started it or a plugin ended us; a ``kill -9`` can't be
told from that. Plugins are called by several threads at once. A plugin's file is loaded
anew by a reload; what it has imported is not.
"""

from __future__ import annotations

import os
import queue
import selectors
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import structlog

from otrsd.control import Work
from otrsd.daemon.child import carry_out
from otrsd.daemon.children import Child
from otrsd.daemon.control import RoleControl
from otrsd.daemon.generation import MOST_CHILDREN, Body, Surroundings
from otrsd.daemon.log import set_up
from otrsd.daemon.messages import Died, Kill, Loaded, Start, Started, Stop, Wire
from otrsd.daemon.roles import Role
from otrsd.daemon.slots import Slot, Slots, left_in_hand
from otrsd.daemon.template import ORPHAN_SECONDS, Offspring, line_of, refusal

#: Two, because a reload has two generations for a while.
_NAMES = ("hands-0", "hands-1")


class Threads:
    """Launches templates in this process."""

    def __init__(self, state: Path) -> None:
        self._paths = [state / name for name in _NAMES]
        self._next = cycle(self._paths)
        self._is_first = True

    def __call__(self, around: Surroundings, _ours: Wire, theirs: Wire) -> Body:
        """Start a template; the first takes up what a dead process has left."""
        left = {}
        if self._is_first:
            self._is_first = False
            for path in self._paths:
                left.update(left_in_hand(path))
                path.unlink(missing_ok=True)
        slots = Slots(MOST_CHILDREN, next(self._next))
        return _Template(around, theirs, slots, left)


class _Template:
    """A thread that loads everything and starts a thread for each role."""

    def __init__(
        self, around: Surroundings, wire: Wire, slots: Slots, left: dict[str, Work]
    ) -> None:
        self.pid = os.getpid()
        self.slots = slots
        self._around = around
        self._wire = wire
        self._left = left
        self._code: int | None = None
        self._roles: dict[str, Role] = {}
        self._places: dict[str, Slot] = {}
        self._living: dict[str, Offspring] = {}
        self._dead: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        # Sockets and no pipe: a late thread must not write to a number in new hands.
        self._heard, self._wake = socket.socketpair()
        self._heard.setblocking(False)  # noqa: FBT003 - the library's own form
        self._thread = threading.Thread(target=self._be, name="template", daemon=True)
        self._thread.start()

    def reap(self, *, block: bool = False) -> int | None:
        """Return 0 or 1 if the thread has ended."""
        if block:
            self._thread.join()
        return None if self._thread.is_alive() else self._code

    def end(self, _children: Sequence[Child]) -> int | None:
        """Ask everything to end: the stream to it is about to close."""
        return self.reap()

    def _be(self) -> None:
        set_up(self._around.log)
        self._code = 1
        try:
            roles = self._around.prepare()
        except BaseException as error:  # noqa: BLE001 - plugins may raise anything
            self._wire.send(refusal(error))
        else:
            self._roles = {role.name: role for role in roles}
            self._wire.send(Loaded(roles=tuple(line_of(role) for role in roles)))
            self._serve()
            self._code = 0
        for end in (self._wire, self._heard, self._wake):
            end.close()
        with suppress(OSError):
            os.write(self._around.wake, b"e")

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wire, selectors.EVENT_READ)
            selector.register(self._heard, selectors.EVENT_READ)
            while not self._wire.ended:
                selector.select()
                for message in self._wire.receive():
                    self._obey(message)
                self._bury()
        self._end_orphans()

    def _obey(self, message: object) -> None:
        match message:
            case Start():
                self._start(message)
            case Stop(name=name):
                if name in self._living:
                    self._living[name].ask_to_stop()
            case Kill(name=name):
                if not self._around.stopping():
                    self._start_anew(name)
            case _:
                raise ValueError(message)

    def _start(self, order: Start) -> None:
        ours, theirs = socket.socketpair()
        slot = self._places[order.name] = self.slots[order.slot]
        slot.owner = order.name
        before = order.predecessor or self._left.get(order.name)
        around = self._around
        control = RoleControl(order.name, theirs, slot, around.wake, around.clock)

        def live() -> None:
            structlog.contextvars.bind_contextvars(process=order.name)
            log = around.log.renamed(order.name)
            code = carry_out(self._roles[order.name], control, before, log)
            if slot.ready:
                # It has done the bookkeeping for the one before.
                self._left.pop(order.name, None)
            theirs.close()
            self._dead.put((order.name, code))
            with suppress(OSError):
                self._wake.send(b"d")

        self._living[order.name] = Offspring(name=order.name, stop=ours)
        # A daemon thread: a deaf one must not keep the process.
        threading.Thread(target=live, name=order.name, daemon=True).start()
        self._wire.send(Started(name=order.name, pid=self.pid))

    def _bury(self) -> None:
        with suppress(BlockingIOError):
            self._heard.recv(4096)
        with suppress(queue.Empty):
            while True:
                name, code = self._dead.get_nowait()
                dead = self._living.pop(name)
                said = dead.last_word()
                dead.ask_to_stop()
                self._wire.send(Died(name=name, pid=self.pid, code=code, said=said))

    def _start_anew(self, name: str) -> None:
        """Put a new process in the place of this one; what is in hand is on file."""
        held = self._places[name].read()
        work = held.work if held else Work()
        self._around.log.error(
            "daemon.anew",
            name=name,
            cause="a step overran, and a thread can't be ended",
            stage=work.stage,
            plugin=work.plugin,
            spool_id=work.spool_id,
        )
        try:
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - as we were called
        finally:
            # Then whoever has started us must do so again.
            os._exit(1)

    def _end_orphans(self) -> None:
        for each in self._living.values():
            each.ask_to_stop()
        monotonic = self._around.clock.monotonic
        deadline = monotonic() + ORPHAN_SECONDS
        with suppress(queue.Empty):
            while self._living and monotonic() < deadline:
                name, _ = self._dead.get(timeout=deadline - monotonic())
                self._living.pop(name)
