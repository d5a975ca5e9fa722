"""The supervisor: starts the template, restarts what dies, stops in order.

It imports nothing heavy and no plugin, so that nothing a plugin does can end it.
``run`` returns the exit code: 0 after an ordered stop, 75 where another daemon has
the state folder, 78 where a role says so before the daemon was ever ready, else the
code of the error that ``prepare`` raised. While nothing happens it wakes four times
a second, to look at the steps in hand.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Mapping
from pathlib import Path

from otrsd.clock import Clock
from otrsd.daemon import lock
from otrsd.daemon.backoff import Backoff
from otrsd.daemon.children import Child, Death, cause_of
from otrsd.daemon.generation import Generation, Surroundings
from otrsd.daemon.halt import Halt
from otrsd.daemon.lines import Lines
from otrsd.daemon.manner import Manner
from otrsd.daemon.notify import Notifier
from otrsd.daemon.reload import Reload, Results
from otrsd.daemon.roles import Prepare
from otrsd.daemon.signals import Signals
from otrsd.daemon.status import StatusFile, picture

_TICK_SECONDS = 0.25
#: A longer gap between two looks means that the machine stood still, not the child.
_GAP_SECONDS = 2.0
#: A template that takes longer to load is named in the log.
_SLOW_SECONDS = 10.0
#: What the template gets to end after its last child.
_TEMPLATE_SECONDS = 2.0
#: EX_CONFIG: a role that ends with it at the start will not do better next time.
_FINAL_CODE = 78
_USUAL = Manner()


class Supervisor:
    """One daemon on one state folder."""

    def __init__(
        self,
        prepare: Prepare,
        *,
        state: Path,
        log: Lines,
        clock: Clock,
        environ: Mapping[str, str],
        manner: Manner = _USUAL,
    ) -> None:
        self._prepare = prepare
        self._state = state
        self._log = log
        self._clock = clock
        self._notifier = Notifier(environ)
        self._status = StatusFile(state)
        self._results = Results(state, clock)
        self._reload: Reload | None = None
        self._manner = manner
        self._signals = Signals()
        self._selector = selectors.DefaultSelector()
        self._since = clock.now()
        self._generation: Generation | None = None
        self._backoff = Backoff()
        #: Monotonic time at which a new template is due.
        self._due = 0.0
        self._halt: Halt | None = None
        self._halt_code = 0
        self._was_ready = False
        self._told_slow = False
        self._exit_code: int | None = None
        self._looked = clock.monotonic()
        self._patient_until = 0.0
        self._next_sign_of_life = 0.0

    @property
    def has_been_ready(self) -> bool:
        """Tell a reload from a start, also in the template that is forked for it."""
        return self._was_ready

    def run(self) -> int:
        """Supervise until a stop is asked for; return the exit code."""
        try:
            self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = lock.take(self._state)
            self._results.clear()
        except (lock.AlreadyRunningError, OSError) as error:
            self._log.error("daemon.refused", cause=error)
            return getattr(error, "exit_code", 1)
        with held, self._signals.listening(), self._selector:
            self._selector.register(self._signals, selectors.EVENT_READ)
            try:
                while self._exit_code is None:
                    self._turn()
            finally:
                self._end()
        return self._exit_code

    def _turn(self) -> None:
        self._sleep()
        self._obey_signals()
        self._hear_template()
        self._advance_reload()
        if self._halt is None:
            self._start_due()
        self._name_slow_template()
        self._end_overruns()
        self._advance_halt()
        self._tell()

    # Waiting and signals.

    def _sleep(self) -> None:
        now = self._clock.monotonic()
        dues = [child.due for child in self._children() if self._may_start(child)]
        if self._generation is None:
            dues = [self._due]
        # In a stop nothing is due; the dead must not keep us awake.
        waits = [due - now for due in dues if self._halt is None]
        self._selector.select(max(0.0, min([_TICK_SECONDS, *waits])))
        self._signals.drain()

    def _obey_signals(self) -> None:
        self._signals.hangups += self._manner.has_changed()
        if self._signals.hangups and self._reload is None and self._was_ready:
            self._signals.hangups = 0
            if self._halt is None and self._generation is not None:
                self._begin_reload()
        if not self._signals.stops:
            return
        now = self._clock.monotonic()
        if self._halt is None:
            self._begin_halt(now)
        if self._halt is not None:
            self._halt.hear(self._signals.stops, now)

    # The template and its children.

    def _new_generation(self) -> Generation:
        running = [self._generation.wire.fileno()] if self._generation else []
        foreign = (self._signals.fileno(), self._selector_fileno(), *running)
        around = Surroundings(
            prepare=self._prepare,
            log=self._log,
            clock=self._clock,
            wake=self._signals.wake,
            foreign=tuple(each for each in foreign if each >= 0),
            launch=self._manner.launch,
            stopping=lambda: self._halt is not None,
        )
        generation = Generation(around)
        self._selector.register(generation.wire, selectors.EVENT_READ)
        return generation

    def _fork_template(self) -> None:
        try:
            self._generation = self._new_generation()
        except OSError as error:
            # No memory or too many processes: that may pass, and we are still here.
            delay = self._backoff.delay(0.0)
            self._due = self._clock.monotonic() + delay
            self._log.error("template.not_forked", cause=error, restart_in=delay)
            return
        self._told_slow = False

    def _selector_fileno(self) -> int:
        fileno = getattr(self._selector, "fileno", None)
        return int(fileno()) if fileno else -1

    def _hear_template(self) -> None:
        generation = self._generation
        if generation is None:
            return
        for death, code in generation.hear():
            self._bury(death, code)
        if generation.wire.ended:
            self._template_ended(generation)

    def _bury(self, death: Death, code: int) -> None:
        if self._halt is not None:
            level = "info" if code == 0 else "warning"
            self._log.write(level, "child.ended", **death.fields())
            return
        fields = {**death.fields(), **death.held()}
        if code == _FINAL_CODE and not self._was_ready:
            self._log.error("child.refused", **fields)
            self._begin_halt(self._clock.monotonic(), exit_code=code)
            return
        self._log.error("child.died", **fields, restart_in=death.restart_in)

    def _template_ended(self, generation: Generation) -> None:
        self._selector.unregister(generation.wire)
        lived = self._clock.monotonic() - generation.born
        refused = generation.refused
        code = generation.wreck()
        self._generation = None
        if refused is not None:
            for line in refused.text.splitlines():
                self._log.error("daemon.not_prepared", cause=line)
        if refused is not None and not self._was_ready:
            self._exit_code = refused.exit_code
            return
        delay = self._backoff.delay(lived)
        self._due = self._clock.monotonic() + delay
        cause = cause_of(code)
        if not generation.loaded:
            cause += " while it loaded: does a plugin file end the process on import?"
        self._log.error("template.died", cause=cause, restart_in=delay)

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        if self._generation is None:
            if self._exit_code is None and now >= self._due:
                self._fork_template()
            return
        for child in self._children():
            if self._may_start(child) and now >= child.due:
                self._generation.start(child)

    def _may_start(self, child: Child) -> bool:
        waits = self._reload is not None and not self._reload.may_start(child)
        return not child.ordered and not waits

    def _name_slow_template(self) -> None:
        """Say why nothing happens: no limit would be right for every machine."""
        generation = self._generation
        if generation is None or generation.loaded or self._told_slow:
            return
        if self._clock.monotonic() - generation.born > _SLOW_SECONDS:
            self._told_slow = True
            self._log.warning(
                "template.slow",
                pid=generation.pid,
                cause=f"still loading after {_SLOW_SECONDS:g} s: does a plugin file"
                " wait for something while it is imported, or is the database away?"
                " Take new files out of the plugins folder and start again",
            )

    def _end_overruns(self) -> None:
        now = self._clock.monotonic()
        gap, self._looked = now - self._looked, now
        if gap > _GAP_SECONDS:
            # Nobody ran in between; the children get the lost time again.
            self._patient_until = now + gap
        if self._generation is None or now < self._patient_until:
            return
        for child in self._generation.living():
            held = child.in_hand()
            if held and held.overran(now) and not child.killed_for:
                reason = f"overran {held.work.limit:g} s in {held.work.stage}"
                self._generation.kill(child, reason)

    # The reload.

    def _begin_reload(self) -> None:
        now = self._clock.monotonic()
        self._results.begin()
        self._log.info("config.reloading")
        stamp = f"MONOTONIC_USEC={int(now * 1_000_000)}"
        self._notifier.send("RELOADING=1", stamp)
        try:
            new = self._new_generation()
        except OSError as error:
            self._end_reload(ok=False, text=f"no process for the new template: {error}")
            return
        self._reload = Reload(new, now, self._manner.stop_seconds)

    def _advance_reload(self) -> None:
        reload, now = self._reload, self._clock.monotonic()
        if reload is None:
            return
        if reload.old is not None:
            self._retire(reload, reload.old, now)
            return
        reload.hear_new()
        failure = reload.failure(now)
        if self._halt is not None or self._generation is None:
            failure = failure or "the daemon is stopping or has lost its template"
        if failure:
            self._fail_reload(reload, failure)
        elif reload.advance() and self._generation is not None:
            reload.swap(self._generation, now)
            self._generation = reload.new

    def _retire(self, reload: Reload, old: Generation, now: float) -> None:
        for death, code in old.hear():
            level = "info" if code == 0 else "warning"
            self._log.write(level, "child.ended", **death.fields())
        done = reload.retire(now)
        if self._generation is not reload.new and not old.living():
            self._let_go(old)
            self._end_reload(ok=False, text="the new template died; it starts again")
        elif done or old.wire.ended:
            self._let_go(old)
            self._end_reload(ok=True)

    def _fail_reload(self, reload: Reload, failure: str) -> None:
        self._let_go(reload.new)
        self._end_reload(ok=False, text=failure)

    def _end_reload(self, *, ok: bool, text: str = "") -> None:
        self._reload = None
        self._show(self._clock.monotonic())
        self._results.end(ok=ok, text=text)
        if ok:
            self._log.info("config.reloaded", processes=len(self._children()))
        else:
            for line in text.splitlines():
                self._log.error("config.reload.failed", cause=line)
        self._notifier.send("READY=1")

    def _let_go(self, generation: Generation) -> None:
        self._selector.unregister(generation.wire)
        if generation.loaded and not generation.living():
            # The end of its stream ends it.
            generation.wire.close()
            self._await_template(generation)
        generation.wreck()

    # The stop.

    def _begin_halt(self, now: float, *, exit_code: int = 0) -> None:
        ranks = [child.line.stop for child in self._children()]
        self._halt = Halt(now, ranks, self._manner.stop_seconds)
        self._halt_code = exit_code
        self._log.info("daemon.stopping")
        self._notifier.send("STOPPING=1")

    def _advance_halt(self) -> None:
        if self._halt is None or self._exit_code is not None:
            return
        now = self._clock.monotonic()
        generation = self._generation
        living = generation.living() if generation else []
        old = self._reload.old if self._reload else None
        still = living or (old.living() if old else [])
        if not still or self._halt.beyond_hope(now):
            self._exit_code = self._halt_code
            return
        if generation is None:
            return
        orders = self._halt.orders(living, now)
        for child in orders.ask:
            self._ask(generation, child)
        for child in orders.kill:
            self._log.warning("child.killed", name=child.line.name, pid=child.pid)
            generation.kill(child, "did not stop in time")

    def _ask(self, generation: Generation, child: Child) -> None:
        self._log.info("child.stopping", name=child.line.name, pid=child.pid)
        generation.stop(child)

    def _end(self) -> None:
        if self._reload is not None:
            self._let_go(self._reload.old or self._reload.new)
        if self._generation is not None:
            self._let_go(self._generation)
        self._status.remove()
        self._log.info("daemon.stopped")

    def _await_template(self, generation: Generation) -> None:
        deadline = self._clock.monotonic() + _TEMPLATE_SECONDS
        while generation.reap() is None and self._clock.monotonic() < deadline:
            self._selector.select(_TICK_SECONDS)
            self._signals.drain()

    # What others see.

    def _tell(self) -> None:
        now = self._clock.monotonic()
        if self._is_ready_now():
            self._was_ready = True
            # Whoever reads "ready" in the log may look at the status next.
            self._show(now)
            self._results.end(ok=True)
            self._log.info("daemon.ready", processes=len(self._children()))
            self._notifier.send("READY=1", f"MAINPID={os.getpid()}")
        if self._notifier.watchdog_seconds and now >= self._next_sign_of_life:
            self._next_sign_of_life = now + self._notifier.watchdog_seconds
            self._notifier.send("WATCHDOG=1")
        if self._status.due(now):
            self._show(now)

    def _is_ready_now(self) -> bool:
        news = self._halt is None and not self._was_ready
        return news and self._generation is not None and self._generation.ready()

    def _children(self) -> tuple[Child, ...]:
        return tuple(self._generation.children.values()) if self._generation else ()

    def _show(self, now: float) -> None:
        state = "ready" if self._was_ready else "starting"
        state = "stopping" if self._halt else state
        shown = picture(state, self._since, [c.status() for c in self._children()])
        self._status.show(shown, now)
