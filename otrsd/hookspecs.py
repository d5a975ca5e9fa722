"""The contracts between otrsd and its plugins: every hook there is.

Four kinds, never mixed (design.md §5): **D** decide: the first result that is not
``None`` wins · **A** amend: all are asked, core folds · **O** observe: after the
commit, isolated · **R** register. All are synchronous and called with keyword
arguments, one implementation at a time, by :class:`otrsd.hooks.Hooks` alone.

docs/hooks.md tells each one's limits and shows an example that a test runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pluggy

from otrsd.model.changes import Changes, Draft, PluginState, Tickets
from otrsd.model.envelope import Envelope
from otrsd.model.event import Event
from otrsd.model.mail import Mail
from otrsd.model.verdict import Verdict

#: The name that ties hookspecs, hookimpls and the entry-point group together.
PROJECT = "otrsd"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def screen_mail(mail: Mail, envelope: Envelope) -> Verdict | None:
    """A: judge a mail before it may touch a ticket; I/O allowed, 30 s."""


@hookspec
def ticket_keys(mail: Mail, envelope: Envelope) -> Iterable[str] | None:
    """A: name the open keys and state keys this mail is about; no I/O.

    Core locks them, sorted, before ``find_ticket``, so that two workers never
    decide about the same thing at once.
    """


@hookspec
def find_ticket(mail: Mail, envelope: Envelope, tickets: Tickets) -> int | None:
    """D: return the id of the ticket this mail belongs to; no I/O, 1 s."""


@hookspec
def choose_queue(mail: Mail, envelope: Envelope, queues: Sequence[str]) -> str | None:
    """D: return the queue for a new ticket, one of ``queues``; no I/O, 1 s."""


@hookspec
def amend_ticket(
    mail: Mail, envelope: Envelope, draft: Draft
) -> Changes | Iterable[Changes] | None:
    """A: propose changes to this mail's ticket and to others; no I/O, 1 s."""


@hookspec
def on_due(
    key: str, state: PluginState, tickets: Tickets
) -> Changes | Iterable[Changes] | None:
    """A: a row of the plugin's memory has reached its ``due_at``; no I/O, 1 s."""


@hookspec
def on_event(event: Event) -> None:
    """O: a change was committed; at least once, so be idempotent on ``event.id``."""


@hookspec
def register_match_fields() -> Mapping[str, Any] | None:
    """R: name further fields for rule conditions: name → function of a mail."""
