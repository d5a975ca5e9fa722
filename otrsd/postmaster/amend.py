"""Route and amend: fold what plugins and rules want into one proposal.

Order of asking: plugins' ``choose_queue``, rules from top to bottom, the address the
mail was sent to, the default queue, then plugins' ``amend_ticket``. The first one to
set a field wins; tags and further fields add up; what is ignored is in the trace
with both names. A mail that joins a ticket takes only tags, fields, ``hold`` and
``discard`` from rules: the catch-all at the end must not move an agent's ticket
(docs/decisions/0003-rules-and-follow-ups.md).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from otrsd.counters import RULE_MATCHES
from otrsd.desk.unit import Unit
from otrsd.mime.subject import clean_subject, forwarded_subject
from otrsd.model.changes import Changes, Draft
from otrsd.model.ticket import STATES, StateType
from otrsd.postmaster.find import sender
from otrsd.postmaster.parts import Found, Postmaster, Screened
from otrsd.postmaster.split import written_to
from otrsd.postmaster.view import View
from otrsd.store import tickets

#: Fields of Changes of which the first value wins.
_SINGLE = ("queue", "title", "state", "priority", "owner", "open_key")
NO_SUBJECT = "(no subject)"
#: Who decides about a stranger's mail, in trace and trash.
UNKNOWN = "unknown-sender"
#: What the trace says of a rule or plugin that does not count for this mail.
LEFT_OUT = "left out of this journey"


@dataclass(slots=True, kw_only=True)
class Fold:
    """The proposal as it grows, and whose each value is."""

    values: Changes = field(default_factory=Changes)
    #: Field → who set it.
    owners: dict[str, str] = field(default_factory=dict)
    #: (who, proposal) for this ticket, in order; each changes what it may.
    accepted: list[tuple[str, Changes]] = field(default_factory=list)
    #: (who, proposal) for other tickets.
    others: list[tuple[str, Changes]] = field(default_factory=list)
    #: The queue of a new ticket where nobody proposes one.
    routed: str = ""
    #: Why it goes to the trash, or is held; and whose decision that is.
    discard: str = ""
    hold: str = ""
    cause: str = ""


def amend(post: Postmaster, unit: Unit, screened: Screened, found: Found) -> Fold:
    """Ask everybody and return the folded proposal."""
    fold = Fold()
    if screened.tags:
        _accept(fold, screened, "screen", Changes(tags=screened.tags))
    if found.ticket is None:
        _ask_for_queue(post, fold, screened)
    _ask_rules(post, fold, screened, found)
    if not (fold.discard or fold.hold):
        _route(post, fold, screened, found)
        _ask_plugins(post, unit, fold, screened, found)
        _ask_door(post, unit, fold, screened, found)
    if screened.trace.failures or screened.lacking:
        _accept(fold, screened, "otrsd", Changes(tags=("plugin-failed",)))
    return fold


def _route(post: Postmaster, fold: Fold, screened: Screened, found: Found) -> None:
    """Find the queue of a new ticket for which nobody proposes one."""
    if found.ticket is None and fold.values.queue is None:
        fold.routed, reason = recipient_queue(post, screened)
        screened.trace.note("route", "otrsd", f"queue {fold.routed} ({reason})")


def recipient_queue(post: Postmaster, screened: Screened) -> tuple[str, str]:
    """Return (queue, reason) by the address the mail was sent to."""
    if screened.into:
        return screened.into, f"part {screened.part + 1} of a mail to several queues"
    for address in screened.claimed.envelope.rcpt_tos:
        queue = post.routes.queue_of(address)
        if queue:
            return queue, f"recipient {address}"
    for name, address in written_to(screened):
        queue = post.routes.queue_of(address)
        if queue:
            return queue, f"{name}: {address}"
    queue = screened.claimed.envelope.queue
    if queue in post.queues:
        return queue, f"queue of account {screened.claimed.envelope.profile}"
    return post.routes.default_queue, "default queue"


def _ask_for_queue(post: Postmaster, fold: Fold, screened: Screened) -> None:
    trace = screened.trace
    answers = post.hooks.choose_queue(
        screened.mail, screened.claimed.envelope, post.queues, skip=screened.skip
    )
    for answer in answers:
        if answer.failure:
            trace.failed("route", answer.plugin, answer.failure)
            continue
        trace.answered.add(answer.plugin)
        if answer.value is not None:
            who = f"plugin:{answer.plugin}"
            _accept(fold, screened, who, Changes(queue=answer.value))


def _ask_rules(post: Postmaster, fold: Fold, screened: Screened, found: Found) -> None:
    applied = post.rules.run(
        screened.mail,
        screened.claimed.envelope,
        found.ticket,
        without=rules_left_out(screened.skip),
        released=screened.claimed.released,
    )
    for each in applied:
        post.counters.count(RULE_MATCHES, each.rule)
        who = f"rule:{each.rule}"
        if who in screened.skip:
            screened.trace.note("rule", each.rule, LEFT_OUT)
            continue
        changes = each.changes
        if found.ticket is not None:
            single: list[str] = [name for name in _SINGLE if getattr(changes, name)]
            if single:
                names = ", ".join(single)
                what = f"ignored for a follow-up: {names}"
                screened.trace.note("rule", each.rule, what)
            changes = _without(changes, single)
        _accept(fold, screened, who, changes, where=each.origin)


def rules_left_out(skip: frozenset[str]) -> frozenset[str]:
    """Return the names of the rules in ``skip``, which names plugins, too."""
    rule = "rule:"
    return frozenset(n.removeprefix(rule) for n in skip if n.startswith(rule))


def _ask_plugins(
    post: Postmaster, unit: Unit, fold: Fold, screened: Screened, found: Found
) -> None:
    if not post.hooks.has("amend_ticket"):
        return
    values = defaults(post, fold, screened, found)

    def draft(plugin: str) -> Draft:
        return Draft(
            ticket=found.ticket,
            found_by=found.by,
            queue=values.queue or "",
            title=values.title or "",
            state=values.state or "new",
            priority=values.priority or 3,
            tags=fold.values.tags,
            fields=fold.values.fields,
            tickets=View(unit, plugin),
        )

    answers = post.hooks.amend_ticket(
        screened.mail, screened.claimed.envelope, draft, skip=screened.skip
    )
    for answer in answers:
        if answer.failure:
            screened.trace.failed("amend", answer.plugin, answer.failure)
            continue
        screened.trace.answered.add(answer.plugin)
        for changes in answer.value or ():
            who = f"plugin:{answer.plugin}"
            checked, wrong = existing(post.queues, changes)
            for name in wrong:
                what = f"ignored: there is no {name} {getattr(changes, name)!r}"
                screened.trace.note("amend", who, what)
            if changes.ticket_id is None:
                checked = _inert(screened, found, who, checked)
                _accept(fold, screened, who, checked)
            else:
                fold.others.append((who, checked))


def _ask_door(
    post: Postmaster, unit: Unit, fold: Fold, screened: Screened, found: Found
) -> None:
    """Hold or discard what a stranger writes, where the queue wants that (B25)."""
    queue = fold.values.queue or fold.routed
    policy = post.unknown_senders.get(queue, "create")
    # Who restores or releases a mail has decided, and so has an agent who forwards it.
    is_decided = UNKNOWN in screened.skip or screened.claimed.released
    if found.ticket is not None or policy == "create" or is_decided:
        return
    who = sender(screened)
    if screened.original or (who and tickets.has_one(unit.connection, who)):
        return
    reason = f"queue {queue} takes nothing of senders who never had a ticket"
    wanted = Changes(hold=reason) if policy == "hold" else Changes(discard=reason)
    _accept(fold, screened, UNKNOWN, wanted)


def _inert(screened: Screened, found: Found, who: str, changes: Changes) -> Changes:
    """Take out what a mail may not change, whoever proposes it (row K04)."""
    single = [name for name in _SINGLE if getattr(changes, name)]
    if found.ticket is None or not (found.inert and single):
        return changes
    what = f"ignored ({', '.join(single)}): {found.inert}"
    screened.trace.note("amend", who, what)
    return _without(changes, single)


def defaults(post: Postmaster, fold: Fold, screened: Screened, found: Found) -> Changes:
    """Return the values that hold where nobody has set one."""
    ticket = found.ticket
    if ticket is not None:
        state = fold.values.state or ticket.state
        if not (fold.values.state or found.inert):
            state = reopened(ticket.state_type) or state
        return Changes(
            queue=ticket.queue,
            title=ticket.title,
            state=state,
            priority=ticket.priority,
        )
    title = fold.values.title
    if title is None:
        title = _title(post, screened) or NO_SUBJECT
    return Changes(
        queue=fold.values.queue or fold.routed,
        title=title,
        state=fold.values.state or "new",
        priority=fold.values.priority or 3,
    )


def _title(post: Postmaster, screened: Screened) -> str:
    subject, hook = screened.mail.subject, post.ticket_hook
    if screened.original is not None:
        return forwarded_subject(subject, hook) or ""
    return clean_subject(subject, hook)


def reopened(state_type: StateType) -> str | None:
    """Return the state a follow-up brings a ticket to; ``None``: it stays."""
    return None if state_type in {StateType.NEW, StateType.OPEN} else "open"


def existing(
    queues: Sequence[str], changes: Changes
) -> tuple[Changes, tuple[str, ...]]:
    """Take out what does not exist here; also return the names of these fields."""
    known: dict[str, Container[str]] = {"queue": queues, "state": STATES}
    wrong = tuple(
        name
        for name, values in known.items()
        if getattr(changes, name) is not None and getattr(changes, name) not in values
    )
    return _without(changes, wrong), wrong


def _without(changes: Changes, names: Sequence[str]) -> Changes:
    """Return the proposal with these fields left open."""
    nothing: dict[str, Any] = dict.fromkeys(names)
    return replace(changes, **nothing) if names else changes


def _accept(
    fold: Fold, screened: Screened, who: str, changes: Changes, where: str = ""
) -> None:
    """Fold one proposal in; the first one to set a field wins."""
    lost = [
        name
        for name in _SINGLE
        if getattr(changes, name) is not None and name in fold.owners
    ]
    kept = _without(changes, lost)
    won = [name for name in _SINGLE if getattr(kept, name) is not None]
    fold.owners.update(dict.fromkeys(won, who))
    fields = {k: v for k, v in kept.fields.items() if k not in fold.values.fields}
    kept = replace(kept, fields=fields)
    values: dict[str, Any] = {name: getattr(kept, name) for name in won}
    fold.values = replace(
        fold.values,
        **values,
        tags=_tags(fold.values.tags, kept),
        no_auto_reply=fold.values.no_auto_reply or kept.no_auto_reply,
        fields={**fold.values.fields, **fields},
    )
    if kept.no_auto_reply:
        fold.owners.setdefault("no_auto_reply", who)
    fold.accepted.append((who, kept))
    if kept.discard and not fold.discard and not fold.hold:
        fold.discard, fold.cause = kept.discard, who
    may_hold = not screened.claimed.released and not fold.discard
    if kept.hold and may_hold and not fold.hold:
        fold.hold, fold.cause = kept.hold, who
    _note(screened, who, kept, {name: fold.owners[name] for name in lost}, where)


def _tags(before: Sequence[str], changes: Changes) -> tuple[str, ...]:
    kept = [tag for tag in before if tag not in changes.untag]
    return tuple(dict.fromkeys((*kept, *changes.tags)))


def _note(
    screened: Screened,
    who: str,
    kept: Changes,
    lost: Mapping[str, str],
    where: str,
) -> None:
    kind, _, name = who.partition(":")
    told = [f"{key}={getattr(kept, key)}" for key in _SINGLE if getattr(kept, key)]
    told += [f"tag {tag}" for tag in kept.tags]
    told += [f"tag {tag} taken away" for tag in kept.untag]
    told += ["no automatic answer"] * kept.no_auto_reply
    told += [f"{key}={value}" for key, value in kept.fields.items()]
    told += [
        f"{key}: {getattr(kept, key)}"
        for key in ("discard", "hold", "note")
        if getattr(kept, key)
    ]
    if kept.hold and screened.claimed.released:
        told.append("ignored: a person has released the mail")
    told += [f"{key} ignored: already set by {owner}" for key, owner in lost.items()]
    if told or kind == "rule":
        place = f" ({where})" if where else ""
        screened.trace.note(
            "rule" if kind == "rule" else "amend", name or who, ", ".join(told) + place
        )
