"""The verbs on tickets: create, append, change, link.

Each takes a :class:`~otrsd.desk.unit.Unit`, records what it did in the history
with actor and cause, and returns the ticket as it now stands. A verb that finds
the ticket changed by somebody else raises ConflictError and has done nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from otrsd.desk.unit import Unit
from otrsd.errors import ConflictError, InputError
from otrsd.mime.words import kind_of
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.model.ticket import INACTIVE, PRIORITIES, STATES, Ticket
from otrsd.store import articles, tickets
from otrsd.store.history import Change
from otrsd.store.text import ADDRESS, NAME, TAG, storable, unique

#: Participants a ticket can have; a hostile mail names thousands (row O06).
MAX_PARTICIPANTS = 50
#: Characters of a title.
MAX_TITLE = 998


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who does it, and what brought it about; both stand in the history."""

    #: ``system``, an agent's login, or an address.
    actor: str
    #: ``mail``, ``rule:NAME``, ``plugin:NAME``, ``cli`` …
    cause: str


_CORE = Who(actor="system", cause="otrsd")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArticle:
    """An article to be."""

    kind: ArticleKind
    sender_type: SenderType
    visible_to_customer: bool
    subject: str = ""
    text: str = ""
    from_text: str = ""
    to_text: str = ""
    cc_text: str = ""
    message_id: str = ""
    dedup_key: str = ""
    content_sha256: str = ""
    spool_id: str = ""
    #: JSON: parts, defects, envelope.
    mail: Mapping[str, Any] = field(default_factory=dict)
    #: Addresses that may add to the ticket from now on.
    participants: tuple[str, ...] = ()


def create(
    unit: Unit, values: Changes, article: NewArticle, who: Who, *, customer: str = ""
) -> tuple[Ticket, int]:
    """Open a ticket with its first article; return both (the number comes last)."""
    values = _fit(values)
    state = values.state or "new"
    state_type = STATES[_known_state(state)]
    active = state_type not in INACTIVE
    ticket = Ticket(
        id=0,
        number="",
        title=values.title or "",
        queue=values.queue or "",
        state=state,
        state_type=state_type,
        priority=_known_priority(values.priority or 3),
        owner=values.owner or "",
        customer=storable(customer, ADDRESS),
        tags=values.tags,
        fields=values.fields,
        open_key=None,
        created_at=unit.at,
        changed_at=unit.at,
    )
    key = values.open_key if active else None
    holder = tickets.by_open_key(unit.connection, key) if key else None
    if holder is None:
        ticket = replace(ticket, open_key=key)
    row = {
        "number": None,
        "title": ticket.title,
        "queue": ticket.queue,
        "state": ticket.state,
        "state_type": ticket.state_type.value,
        "priority": ticket.priority,
        "owner": ticket.owner,
        "locked_by": "",
        "responsible": "",
        "customer": ticket.customer,
        "fields": json.dumps(dict(ticket.fields), ensure_ascii=False),
        "open_key": ticket.open_key,
        "created_at": unit.at,
        "changed_at": unit.at,
        "closed_at": None if active else unit.at,
        "version": 1,
    }
    ticket = replace(ticket, id=tickets.insert(unit.connection, row))
    unit.number_later(ticket.id)
    for tag in ticket.tags:
        unit.tag_later(ticket.id, tag)
    article_id = _add_article(unit, ticket, article, fresh=True)
    data = {"title": ticket.title, "tags": ticket.tags, "fields": ticket.fields}
    unit.record(_change(ticket, "NewTicket", who, article_id, data))
    if holder is not None:
        _refuse_key(unit, ticket, holder, who)
    return ticket, article_id


def append(
    unit: Unit,
    ticket: Ticket,
    article: NewArticle,
    who: Who,
    *,
    event: str,
    data: Mapping[str, Any] = {},
) -> int:
    """Add an article to a ticket; return the article's id.

    ``event``: FollowUp for mail from outside, AddNote, EmailAgent, SystemRequest …;
    ``data``: what its history row says beside the subject.
    """
    article_id = _add_article(unit, ticket, article)
    told = {"subject": article.subject, **data}
    unit.record(_change(ticket, event, who, article_id, told))
    return article_id


def change(unit: Unit, ticket: Ticket, changes: Changes, who: Who) -> Ticket:
    """Apply the fields that ``changes`` names; one history row for each change."""
    unit.flush()
    changes = _fit(changes)
    columns: dict[str, Any] = {}
    now = ticket
    for event, name, old, new in _differences(ticket, changes):
        columns[name] = new
        now = replace(now, **{name: new})
        if name == "state":
            state_type = STATES[new]
            now = replace(now, state_type=state_type)
            columns["state_type"] = state_type.value
            columns["closed_at"] = None if now.is_active else unit.at
        unit.record(_change(now, event, who, None, {"old": old, "new": new}))
    now = _open_key(unit, now, changes.open_key, columns, who)
    if "fields" in columns:
        columns["fields"] = json.dumps(dict(columns["fields"]), ensure_ascii=False)
    now = _untag(unit, now, changes, who)
    for tag in changes.tags:
        if tag not in ticket.tags:
            unit.tag_later(ticket.id, tag)
            now = replace(now, tags=(*now.tags, tag))
            unit.record(_change(now, "TagUpdate", who, None, {"added": tag}))
    _index_again(unit, ticket, columns)
    if changes.note:
        _note(unit, now, changes.note, who)
    columns["changed_at"] = unit.at
    if not tickets.update(unit.connection, ticket.id, ticket.version, columns):
        raise ConflictError(
            f"ticket {ticket.number or ticket.id} was changed by somebody else "
            "meanwhile; look at it again and repeat what you want"
        )
    return replace(now, version=ticket.version + 1, changed_at=unit.at)


def link(unit: Unit, ticket: Ticket, other: Ticket, kind: str, who: Who) -> None:
    """Relate two tickets."""
    tickets.add_link(unit.connection, ticket.id, other.id, kind)
    data = {"kind": kind, "other": other.number or other.id}
    unit.record(_change(ticket, "TicketLinkAdd", who, None, data))


def join(unit: Unit, ticket: Ticket, addresses: Iterable[str]) -> None:
    """Let addresses take part in a ticket there is, up to the cap."""
    _join(unit, ticket, tuple(addresses), fresh=False)


def remark(
    unit: Unit, ticket: Ticket, event: str, who: Who, data: Mapping[str, Any]
) -> None:
    """Write a history row that changes nothing else (Duplicate, Misc …)."""
    unit.record(_change(ticket, event, who, None, data))


def _differences(
    ticket: Ticket, changes: Changes
) -> Iterator[tuple[str, str, Any, Any]]:
    """Give (history type, column, old, new) for each value that really changes."""
    state = None if changes.state is None else _known_state(changes.state)
    priority = None if changes.priority is None else _known_priority(changes.priority)
    wanted = (
        ("Move", "queue", ticket.queue, changes.queue),
        ("StateUpdate", "state", ticket.state, state),
        ("PriorityUpdate", "priority", ticket.priority, priority),
        ("OwnerUpdate", "owner", ticket.owner, changes.owner),
        ("TitleUpdate", "title", ticket.title, changes.title),
    )
    for event, name, old, new in wanted:
        if new is not None and new != old:
            yield event, name, old, new
    merged = {**ticket.fields, **changes.fields}
    if merged != dict(ticket.fields):
        yield "TicketDynamicFieldUpdate", "fields", dict(ticket.fields), merged


def _open_key(
    unit: Unit,
    ticket: Ticket,
    wanted: str | None,
    columns: dict[str, Any],
    who: Who,
) -> Ticket:
    """Keep the rule that only an active ticket holds an open key, and only one."""
    key = (wanted or ticket.open_key) if ticket.is_active else None
    if key == ticket.open_key:
        return ticket
    holder = tickets.by_open_key(unit.connection, key) if key else None
    if holder is not None:
        _refuse_key(unit, ticket, holder, who)
        return ticket
    columns["open_key"] = key
    return replace(ticket, open_key=key)


def _untag(unit: Unit, ticket: Ticket, changes: Changes, who: Who) -> Ticket:
    """Take away the tags that the ticket has and is to lose."""
    gone = [tag for tag in changes.untag if tag in ticket.tags]
    for tag in gone:
        tickets.remove_tag(unit.connection, ticket.id, tag)
        unit.record(_change(ticket, "TagUpdate", who, None, {"removed": tag}))
    return replace(ticket, tags=tuple(tag for tag in ticket.tags if tag not in gone))


def _refuse_key(unit: Unit, ticket: Ticket, holder: Ticket, who: Who) -> None:
    """Write down that another active ticket has the key that was wanted."""
    data = {"open_key": holder.open_key, "held_by": holder.number or holder.id}
    unit.record(_change(ticket, "OpenKeyRefused", who, None, data))


def _fit_tags(tags: Iterable[str]) -> tuple[str, ...]:
    fitting = (storable(tag, TAG).strip() for tag in tags)
    return tuple(dict.fromkeys(tag for tag in fitting if tag))


def _fit(changes: Changes) -> Changes:
    """Make every text fit its column: no proposal may be what holds a mail."""

    def text(value: str | None, longest: int | None) -> str | None:
        return None if value is None else storable(value, longest)

    tags = _fit_tags(changes.tags)
    return replace(
        changes,
        queue=text(changes.queue, NAME),
        title=text(changes.title, MAX_TITLE),
        owner=text(changes.owner, NAME),
        open_key=unique(changes.open_key) if changes.open_key else None,
        tags=tags,
        untag=tuple(tag for tag in _fit_tags(changes.untag) if tag not in tags),
        fields={storable(k): storable(v) for k, v in changes.fields.items()},
        note=text(changes.note, None),
    )


def _index_again(unit: Unit, ticket: Ticket, columns: Mapping[str, Any]) -> None:
    """Owe the index a new title: it stands with the ticket's first article."""
    if "title" not in columns:
        return
    article_id = articles.first_of_ticket(unit.connection, ticket.id)
    if article_id is not None:
        unit.index_later(article_id)


def _note(unit: Unit, ticket: Ticket, text: str, who: Who) -> None:
    note = NewArticle(
        kind=ArticleKind.NOTE,
        sender_type=SenderType.SYSTEM,
        visible_to_customer=False,
        from_text=who.cause,
        text=text,
    )
    append(unit, ticket, note, who, event="AddNote")


def _add_article(
    unit: Unit, ticket: Ticket, article: NewArticle, *, fresh: bool = False
) -> int:
    message_id = article.message_id
    article_id = articles.insert(
        unit.connection,
        {
            "ticket_id": ticket.id,
            "kind": article.kind.value,
            "sender_type": article.sender_type.value,
            "visible_to_customer": int(article.visible_to_customer),
            "from_text": storable(article.from_text),
            "to_text": storable(article.to_text),
            "cc_text": storable(article.cc_text),
            "subject": storable(article.subject),
            "text": storable(article.text),
            "message_id": storable(message_id),
            "message_key": articles.message_key(message_id) if message_id else None,
            "dedup_key": article.dedup_key or None,
            "content_sha256": article.content_sha256,
            "spool_id": article.spool_id,
            "mail": storable(json.dumps(dict(article.mail), ensure_ascii=False)),
            "created_at": unit.at,
        },
    )
    unit.index_later(article_id)
    if article.content_sha256 and _has_words(article.mail.get("parts", ())):
        unit.extract_later(article_id)
    _join(unit, ticket, article.participants, fresh=fresh)
    return article_id


def _has_words(parts: Iterable[Mapping[str, Any]]) -> bool:
    return any(kind_of(part["type"], part["name"]) for part in parts)


def _join(
    unit: Unit, ticket: Ticket, addresses: tuple[str, ...], *, fresh: bool
) -> None:
    """Let addresses take part, up to the cap."""
    there: set[str] = set()
    if not fresh and addresses:
        there = unit.participants(ticket.id)
    new = [each for each in dict.fromkeys(addresses) if each not in there]
    room = max(MAX_PARTICIPANTS - len(there), 0)
    for address in new[:room]:
        unit.participant_later(ticket.id, address)
    if new[room:]:
        # Row O06: agents see the cut.
        data = {
            "suppressed": f"{len(new[room:])} participants",
            "reason": f"a ticket has {MAX_PARTICIPANTS} at most",
        }
        unit.record(_change(ticket, "Misc", _CORE, None, data))


def _change(
    ticket: Ticket,
    event: str,
    who: Who,
    article_id: int | None,
    data: Mapping[str, Any],
) -> Change:
    return Change(
        type=event,
        actor=who.actor,
        cause=who.cause,
        ticket_id=ticket.id,
        article_id=article_id,
        queue=ticket.queue,
        state=ticket.state,
        owner=ticket.owner,
        priority=ticket.priority,
        data=data,
    )


def _known_state(name: str) -> str:
    if name not in STATES:
        raise InputError(f"there is no state {name!r}; known: {', '.join(STATES)}")
    return name


def _known_priority(number: int) -> int:
    if number not in PRIORITIES:
        raise InputError(f"priority {number} is not between 1 and 5")
    return number
