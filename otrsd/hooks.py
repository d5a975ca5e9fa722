"""Call plugins: one typed method per hook, each implementation called alone.

In: the plugins that :mod:`otrsd.loading` found. Out: one :class:`Answer` for each
implementation asked. pluggy keeps the register and the order; the calls are made
here, because pluggy ends the whole call at the first exception. An implementation
that raises anything at all (``SystemExit`` and ``CancelledError`` too), or returns
what its contract forbids, yields an answer with ``failure`` set; nothing of it
reaches the caller. What does pass is an error of core's own ``tickets`` below a
plugin: a database that is away is not the plugin's fault, and ends the transaction.

Order: as in ``plugins``; ``tryfirst`` and ``trylast`` of pluggy move one hook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import pluggy

from otrsd import hookspecs, results
from otrsd.clock import SystemClock
from otrsd.counters import PLUGIN_ERRORS, PLUGIN_SECONDS, Counters
from otrsd.implementations import accepted_names, described, parameter_names
from otrsd.loading import Loaded, Plugin, load_plugins
from otrsd.model.changes import Changes, Draft, PluginState, Tickets
from otrsd.model.envelope import Envelope
from otrsd.model.event import Event
from otrsd.model.mail import Mail
from otrsd.model.verdict import Verdict
from otrsd.reading import Reading

__all__ = ["Answer", "Hooks", "Loaded", "Plugin", "Watch", "load_plugins"]

Value = TypeVar("Value")
#: Told (hook, plugin) before each call and ("", "") after it.
Watch = Callable[[str, str], None]
#: What a rule condition asks of a mail.
MatchField = Callable[[Mail], object]

NOBODY: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Answer(Generic[Value]):
    """What one implementation said."""

    plugin: str
    #: ``None``: no opinion, or it failed.
    value: Value | None
    #: What went wrong, on one line with file and line; empty if nothing did.
    failure: str
    #: How long it took.
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Implementation:
    """One plugin's function for one hook, and the arguments it wants."""

    plugin: str
    call: Callable[..., object]
    names: tuple[str, ...]


class Hooks:
    """Every hook as a method; nothing else calls a plugin."""

    def __init__(
        self,
        plugins: Iterable[Plugin],
        watch: Watch | None = None,
        *,
        monotonic: Callable[[], float] | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.plugins = tuple(plugins)
        self._watch = watch
        self._monotonic = monotonic or SystemClock().monotonic
        self._counters = counters or Counters()
        self._implementations = dict(_registered(self.plugins))

    def has(self, hook: str) -> bool:
        """Tell whether any plugin implements ``hook``; else a call is for nothing."""
        return bool(self._implementations[hook])

    def plugins_with(self, hook: str) -> tuple[str, ...]:
        """Return the names of the plugins that implement ``hook``, in call order."""
        return tuple(item.plugin for item in self._implementations[hook])

    def screen(
        self, mail: Mail, envelope: Envelope, *, skip: frozenset[str] = NOBODY
    ) -> tuple[Answer[Verdict], ...]:
        """Ask ``screen_mail`` of all; the caller lets the most severe win."""
        values = {"mail": mail, "envelope": envelope}
        return tuple(
            self._ask("screen_mail", item, values, results.verdict)
            for item in self._asked("screen_mail", skip)
        )

    def ticket_keys(
        self, mail: Mail, envelope: Envelope, *, skip: frozenset[str] = NOBODY
    ) -> tuple[Answer[tuple[str, ...]], ...]:
        """Ask ``ticket_keys`` of all: what to lock before ``find_ticket``."""
        values = {"mail": mail, "envelope": envelope}
        return tuple(
            self._ask("ticket_keys", item, values, results.keys)
            for item in self._asked("ticket_keys", skip)
        )

    def find_ticket(
        self,
        mail: Mail,
        envelope: Envelope,
        tickets: Callable[[str], Tickets],
        *,
        skip: frozenset[str] = NOBODY,
    ) -> tuple[Answer[int], ...]:
        """Ask ``find_ticket`` until one has an opinion; ``tickets`` by plugin name."""
        answers = []
        for item in self._asked("find_ticket", skip):
            reading = Reading(tickets(item.plugin))
            values = {"mail": mail, "envelope": envelope, "tickets": reading}
            answers.append(self._ask("find_ticket", item, values, results.ticket_id))
            _raise_if_broken(reading)
            if answers[-1].value is not None:
                break
        return tuple(answers)

    def choose_queue(
        self,
        mail: Mail,
        envelope: Envelope,
        queues: Sequence[str],
        *,
        skip: frozenset[str] = NOBODY,
    ) -> tuple[Answer[str], ...]:
        """Ask ``choose_queue`` until one names a queue of ``queues``."""
        values = {"mail": mail, "envelope": envelope, "queues": queues}
        checked = results.one_of(queues)
        answers = []
        for item in self._asked("choose_queue", skip):
            answers.append(self._ask("choose_queue", item, values, checked))
            if answers[-1].value is not None:
                break
        return tuple(answers)

    def amend_ticket(
        self,
        mail: Mail,
        envelope: Envelope,
        draft: Callable[[str], Draft],
        *,
        skip: frozenset[str] = NOBODY,
    ) -> tuple[Answer[tuple[Changes, ...]], ...]:
        """Ask ``amend_ticket`` of all; ``draft`` makes one bound to that plugin."""
        answers = []
        for item in self._asked("amend_ticket", skip):
            own = draft(item.plugin)
            reading = Reading(own.tickets)
            own = replace(own, tickets=reading)
            values = {"mail": mail, "envelope": envelope, "draft": own}
            answers.append(self._ask("amend_ticket", item, values, results.changes))
            _raise_if_broken(reading)
        return tuple(answers)

    def on_due(
        self, plugin: str, key: str, state: PluginState, tickets: Tickets
    ) -> tuple[Answer[tuple[Changes, ...]], ...]:
        """Tell ``plugin`` alone that its row ``key`` is due."""
        reading = Reading(tickets)
        values = {"key": key, "state": state, "tickets": reading}
        answers = tuple(
            self._ask("on_due", item, values, results.changes)
            for item in self._implementations["on_due"]
            if item.plugin == plugin
        )
        _raise_if_broken(reading)
        return answers

    def on_event(self, plugin: str, event: Event) -> tuple[Answer[None], ...]:
        """Tell ``plugin`` alone about a committed change."""
        values = {"event": event}
        return tuple(
            self._ask("on_event", item, values, results.nothing)
            for item in self._implementations["on_event"]
            if item.plugin == plugin
        )

    def match_fields(
        self, *, skip: frozenset[str] = NOBODY
    ) -> tuple[Answer[Mapping[str, MatchField]], ...]:
        """Ask ``register_match_fields`` of all, once, at start."""
        return tuple(
            self._ask("register_match_fields", item, {}, results.match_fields)
            for item in self._asked("register_match_fields", skip)
        )

    def _asked(
        self, hook: str, skip: frozenset[str]
    ) -> tuple[_Implementation, ...] | Iterator[_Implementation]:
        items = self._implementations[hook]
        if not skip:
            return items
        return (item for item in items if item.plugin not in skip)

    def _ask(
        self,
        hook: str,
        item: _Implementation,
        values: Mapping[str, Any],
        checked: Callable[[object], Value | None],
    ) -> Answer[Value]:
        """Call one implementation; ``checked`` raises where the result is a lie."""
        if self._watch is not None:
            self._watch(hook, item.plugin)
        value, failure = None, ""
        start = self._monotonic()
        try:
            value = checked(item.call(**{name: values[name] for name in item.names}))
        # Whatever a plugin raises is its failure: SystemExit, KeyboardInterrupt and
        # CancelledError too. A real stop never arrives here as an exception.
        except BaseException as error:  # noqa: BLE001 - see the comment above
            failure = described(error)
        finally:
            seconds = self._monotonic() - start
            if self._watch is not None:
                self._watch("", "")
        self._counters.count(PLUGIN_SECONDS, item.plugin, hook, by=seconds)
        if failure:
            self._counters.count(PLUGIN_ERRORS, item.plugin, hook)
        return Answer(plugin=item.plugin, value=value, failure=failure, seconds=seconds)


def _raise_if_broken(reading: Reading) -> None:
    if reading.broken is not None:
        raise reading.broken


def _registered(
    plugins: Sequence[Plugin],
) -> Iterator[tuple[str, tuple[_Implementation, ...]]]:
    """Register all with pluggy; yield each hook with its implementations in order."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    # pluggy calls the last registered one first.
    for plugin in reversed(plugins):
        manager.register(plugin.instance, plugin.name)
    manager.check_pending()
    for hook in accepted_names():
        implementations = reversed(getattr(manager.hook, hook).get_hookimpls())
        yield hook, tuple(_implementation(hook, impl) for impl in implementations)


def _implementation(hook: str, impl: pluggy.HookImpl) -> _Implementation:
    wanted = accepted_names()[hook]
    names = parameter_names(impl.function)
    return _Implementation(
        plugin=impl.plugin_name,
        call=impl.function,
        names=tuple(name for name in names if name in wanted),
    )
