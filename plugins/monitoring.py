"""Nagios and Icinga mails become one ticket a problem, closed when it is over.

A mail counts only if it comes from a source named in the settings. Its event is read
from the subject and from fixed lines of the body (or from X-Otrsd-Monitor-* fields on
a trusted way in), and the table ``DECISIONS`` says what it does to the ticket of its
host and service. What needs no ticket is recorded: the mail goes to the trash with the
reason, where it can be restored, and the plugin's memory keeps the state.

Not done: storms, dependencies between hosts, acknowledging back to Nagios.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from otrsd import (
    THIS_TICKET,
    Changes,
    Draft,
    Duration,
    Envelope,
    Mail,
    Match,
    Names,
    PluginState,
    QueueName,
    Settings as BaseSettings,
    StateType,
    Ticket,
    Tickets,
    hookimpl,
)

OK_STATES = frozenset({"OK", "UP"})
#: Priority by state; it also ranks the states.
SEVERITY = {"WARNING": 2, "UNKNOWN": 3, "CRITICAL": 4, "UNREACHABLE": 4, "DOWN": 5}
#: Other programs' words for the same thing.
SAME_KIND = {"FLAPPINGEND": "FLAPPINGSTOP", "DOWNTIMEREMOVED": "DOWNTIMECANCELLED"}

#: (kind, state is fine) → what to do without an open ticket, and with one.
DECISIONS = {
    ("PROBLEM", False): ("open", "again"),
    ("PROBLEM", True): ("record", "append"),
    ("RECOVERY", False): ("record", "append"),
    ("RECOVERY", True): ("record", "close"),
    ("ACKNOWLEDGEMENT", False): ("record", "acknowledge"),
    ("ACKNOWLEDGEMENT", True): ("record", "acknowledge"),
    ("FLAPPINGSTART", False): ("flap", "pend"),
    ("FLAPPINGSTART", True): ("record", "pend"),
    # While it flaps Nagios sends nothing: this is the only word of a recovery.
    ("FLAPPINGSTOP", True): ("record", "close"),
    ("FLAPPINGSTOP", False): ("open", "again"),
    ("FLAPPINGDISABLED", True): ("record", "close"),
    ("FLAPPINGDISABLED", False): ("open", "again"),
    ("DOWNTIMESTART", False): ("record", "pend"),
    ("DOWNTIMESTART", True): ("record", "pend"),
    ("DOWNTIMEEND", True): ("record", "close"),
    # A recovery right after a downtime is never mailed: wait before opening.
    ("DOWNTIMEEND", False): ("later", "again"),
    ("DOWNTIMECANCELLED", True): ("record", "close"),
    ("DOWNTIMECANCELLED", False): ("later", "again"),
    ("CUSTOM", False): ("custom", "append"),
    ("CUSTOM", True): ("custom", "append"),
}
#: Without a ticket these still make one, where settings and order of events allow.
OPENING = frozenset({"open", "flap", "custom"})
#: Fields of the header form → members of Event.
HEADERS = {
    "kind": "Type",
    "host": "Host",
    "service": "Service",
    "state": "State",
    "address": "Address",
    "author": "Author",
    "time": "Time",
    "problem_id": "Problem-Id",
    "last_problem_id": "Last-Problem-Id",
    "importance": "Importance",
}
#: A mail later than this has a clock that was put back, not a slow way.
LATEST = timedelta(hours=1)
MONTHS = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


class Source(BaseSettings):
    """One Nagios or Icinga."""

    #: Its name for ever: part of every key, such as ``nagios/mon1``.
    name: str
    match: Match
    #: How its mails look: nagios, icinga2, otrsd-headers.
    format: Names = ("otrsd-headers", "nagios", "icinga2")
    queue: QueueName = ""
    #: Name in service mails → name in host mails; otherwise learned by address.
    aliases: Mapping[str, str] = {}
    #: Milder problems open no ticket.
    open_from: Literal["WARNING", "UNKNOWN", "CRITICAL"] = "WARNING"
    on_recovery: Literal["close", "note"] = "close"
    #: Whether a recovery closes a ticket that somebody has locked or owns.
    close_touched: bool = False
    #: A problem this soon after its recovery opens the same ticket again.
    reopen: Duration = timedelta(minutes=15)
    flap_opens: bool = True
    custom_opens: bool = False
    #: How long a state may stay bad after a downtime before it opens a ticket.
    downtime_grace: Duration = timedelta(minutes=10)
    #: A downtime whose end was never mailed is over then.
    longest_downtime: Duration = timedelta(days=7)
    #: Author of acknowledgements that we have sent ourselves.
    ack_author: str = "otrsd"
    #: Name of an author in Nagios → login of the agent who becomes owner.
    agents: Mapping[str, str] = {}


class Settings(BaseSettings):
    """Without sources the plugin does nothing."""

    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What one mail says."""

    kind: str
    host: str
    #: Empty for the host itself.
    service: str
    state: str
    address: str = ""
    #: When it happened, by the monitor's clock where that can be read.
    at: datetime
    #: Same number: same outage. Only the header form has it.
    problem_id: str = ""
    author: str = ""
    #: Added to the priority.
    importance: int = 0

    @property
    def is_ok(self) -> bool:
        """Tell whether the state needs nobody."""
        return self.state in OK_STATES

    @property
    def name(self) -> str:
        """Return host or host/service for people."""
        return f"{self.host}/{self.service}" if self.service else self.host

    @property
    def priority(self) -> int:
        """Return the ticket's priority."""
        return min(5, SEVERITY.get(self.state, 3) + self.importance)

    @property
    def summary(self) -> str:
        """Return the event in one line."""
        return f"{self.kind} {self.name} is {self.state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the plugin knows about one host or service."""

    key: str
    value: Mapping[str, Any]
    ticket_id: int | None
    due_at: datetime | None
    #: The active ticket, if there is one.
    open_ticket: Ticket | None

    def time(self, name: str) -> datetime | None:
        """Return a remembered time."""
        text = self.value.get(name)
        return datetime.fromisoformat(text) if text else None


class Plugin:
    """The hooks."""

    def __init__(self, settings: Settings) -> None:
        for source in settings.sources:
            if source.match.is_empty:
                raise ValueError(f"source {source.name}: 'match' must name something")
            if unknown := set(source.format) - set(READERS):
                wrong = f"source {source.name}: there is no format {min(unknown)!r}"
                raise ValueError(f"{wrong}, only {', '.join(READERS)}")
        self._sources = settings.sources

    @hookimpl
    def ticket_keys(self, mail: Mail, envelope: Envelope) -> Iterable[str] | None:
        """Name host and service, and the address that ties their names together."""
        source = source_of(self._sources, envelope)
        event = read_event(mail, envelope, source) if source else None
        if source is None or event is None:
            return None
        keys = [key_of(source, event.host, event.service)]
        return [*keys, address_key(source, event.address)] if event.address else keys

    @hookimpl
    def find_ticket(
        self, mail: Mail, envelope: Envelope, tickets: Tickets
    ) -> int | None:
        """Return the open ticket of this object, or the one to open again."""
        source = source_of(self._sources, envelope)
        event = read_event(mail, envelope, source) if source else None
        if source is None or event is None:
            return None
        memory = recall(source, event, tickets)
        if memory.open_ticket is not None:
            return memory.open_ticket.id
        if decide(source, event, memory) not in OPENING:
            return None
        return reopened(source, event, memory, tickets)

    @hookimpl
    def choose_queue(self, envelope: Envelope, queues: Sequence[str]) -> str | None:
        """Return the source's queue."""
        source = source_of(self._sources, envelope)
        return source.queue if source and source.queue in queues else None

    @hookimpl
    def amend_ticket(
        self, mail: Mail, envelope: Envelope, draft: Draft
    ) -> list[Changes] | None:
        """Do what the table says."""
        source = source_of(self._sources, envelope)
        if source is None:
            return None
        event = read_event(mail, envelope, source)
        if event is None:
            # Never dropped and never guessed: a person has to look at it.
            return [Changes(tags=("monitoring", "monitoring-unparsed"))]
        memory = recall(source, event, draft.tickets)
        action = decide(source, event, memory)
        changes = changes_of(action, source, event, memory, draft)
        learned = learn(source, event, draft.tickets)
        return [*changes, Changes(plugin_state=learned)] if learned else changes

    @hookimpl
    def on_due(
        self, key: str, state: PluginState, tickets: Tickets
    ) -> list[Changes] | None:
        """Open the ticket of what is still bad after its downtime."""
        value = state.value
        source = next((s for s in self._sources if s.name == value["source"]), None)
        is_over = value["state"] in OK_STATES or tickets.by_open_key(key) is not None
        if source is None or is_over or not value.get("pending"):
            return None
        after = {**value, "pending": False}
        name = "/".join(filter(None, (value["host"], value["service"])))
        return [
            Changes(
                open_ticket=True,
                queue=source.queue or None,
                title=f"{name} is {value['state']} since its downtime",
                priority=SEVERITY.get(value["state"], 3),
                open_key=key,
                tags=("monitoring",),
                note=f"{name} was {value['state']} when its downtime ended, and"
                " no recovery has come since.",
                plugin_state={key: PluginState(value=after, ticket_id=THIS_TICKET)},
            )
        ]


def source_of(sources: Iterable[Source], envelope: Envelope) -> Source | None:
    """Return the first source whose ``match`` fits."""
    return next((s for s in sources if s.match.fits(envelope)), None)


# A service mail's plugin output stands below the fields in Nagios, above them in
# Icinga: so the first line counts there and the last one here. The state is always
# the subject's, which no plugin output reaches.
NAGIOS_SERVICE = re.compile(
    r"\*\* (?P<kind>[A-Z]+) Service Alert: .+ is (?P<state>[A-Z]+) \*\*"
)
NAGIOS_HOST = re.compile(
    r"\*\* (?P<kind>[A-Z]+) Host Alert: (?P<host>.+) is (?P<state>[A-Z]+) \*\*"
)
ICINGA = re.compile(r"\[(?P<kind>[A-Z]+)\] (?P<what>.+) is (?P<state>[A-Z]+)!")


def read_event(mail: Mail, envelope: Envelope, source: Source) -> Event | None:
    """Return what the mail says, ``None`` where it is not understood."""
    for name in source.format:
        found = READERS[name](mail, envelope)
        kind = SAME_KIND.get(found.get("kind", ""), found.get("kind", ""))
        state = found.get("state", "").upper()
        is_ok = state in OK_STATES
        if (kind, is_ok) in DECISIONS and (is_ok or state in SEVERITY):
            service = found.get("service", "")
            host = source.aliases.get(found["host"], found["host"])
            if host and (service or "service" not in found):
                return Event(
                    kind=kind,
                    host=tidy(host),
                    service=tidy(service),
                    state=state,
                    address=found.get("address", ""),
                    at=event_time(found.get("time", ""), mail, envelope),
                    problem_id=found.get("problem_id", ""),
                    author=found.get("author", ""),
                    importance=int(found.get("importance", "0") not in {"", "0"}),
                )
    return None


def from_nagios(mail: Mail, _: Envelope) -> dict[str, str]:
    """Read the stock mails of Nagios 4."""
    if found := NAGIOS_HOST.fullmatch(mail.subject):
        lines = first_lines(mail.text.splitlines(), "Address", "Date/Time")
        return {**lines, **found.groupdict()}
    if found := NAGIOS_SERVICE.fullmatch(mail.subject):
        names = ("Service", "Host", "Address", "Date/Time")
        return {**first_lines(mail.text.splitlines(), *names), **found.groupdict()}
    return {}


def from_icinga(mail: Mail, _: Envelope) -> dict[str, str]:
    """Read the mails of Icinga 2's stock scripts; their names are in the body."""
    found = ICINGA.fullmatch(mail.subject)
    if found is None:
        return {}
    is_host = found["what"].startswith("Host ") and found["state"] in {"UP", "DOWN"}
    names = ("Host", "IPv4", "When") if is_host else ("Service", "Host", "IPv4", "When")
    return {
        **first_lines(reversed(mail.text.splitlines()), *names),
        "kind": found["kind"],
        "state": found["state"],
    }


def from_headers(mail: Mail, envelope: Envelope) -> dict[str, str]:
    """Read X-Otrsd-Monitor-*; a stranger's fields count for nothing."""
    is_ours = envelope.trusted or envelope.channel in {"pipe", "socket"}
    if not is_ours or mail.header("X-Otrsd-Monitor") is None:
        return {}
    found = {
        member: (mail.header(f"X-Otrsd-Monitor-{name}") or "").strip()
        for member, name in HEADERS.items()
    }
    if not found["service"]:
        del found["service"]
    # A host's recovery has 0 here and the number in the second one.
    ids = (found.pop("problem_id"), found.pop("last_problem_id"))
    return {**found, "problem_id": next((i for i in ids if i not in {"", "0"}), "")}


READERS = {
    "otrsd-headers": from_headers,
    "nagios": from_nagios,
    "icinga2": from_icinga,
}
#: Name in a body → member.
LINES = {
    "Service": "service",
    "Host": "host",
    "Address": "address",
    "IPv4": "address",
    "Date/Time": "time",
    "When": "time",
}


def first_lines(lines: Iterable[str], *names: str) -> dict[str, str]:
    """Return the first ``Name: value`` of each name; empty where there is none."""
    found = {LINES[name]: "" for name in names}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and name in names and not found[LINES[name]]:
            found[LINES[name]] = value.strip()
    return found


def tidy(name: str) -> str:
    """Return a name in the one form that keys are made of."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def event_time(text: str, mail: Mail, envelope: Envelope) -> datetime:
    """Return when it happened; a time in the future is a wrong clock."""
    at = read_time(text) or mail.date or envelope.received_at
    if at > envelope.received_at + timedelta(hours=1):
        return envelope.received_at
    return at


def read_time(text: str) -> datetime | None:
    """Read seconds since 1970, ISO, or Nagios' form where its zone is UTC."""
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        if found := NAGIOS_TIME.fullmatch(text):
            month = MONTHS.index(found["month"]) + 1
            text = (
                f"{found['year']}-{month:02}-{int(found['day']):02}T{found['clock']}Z"
            )
        # Icinga writes a blank before the zone.
        at = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else None


NAGIOS_TIME = re.compile(
    r"\w{3} (?P<month>\w{3}) +(?P<day>\d+) (?P<clock>[\d:]{8}) "
    r"(?:UTC|GMT) (?P<year>\d{4})"
)


def key_of(source: Source, host: str, service: str) -> str:
    """Return the key of an object, short enough for a column."""
    key = f"monitoring|{source.name}|{host}|{service}"
    if len(key) > 250:  # noqa: PLR2004 - the column's limit less some room
        return f"{key[:180]}#{hashlib.sha256(key.encode()).hexdigest()}"
    return key


def address_key(source: Source, address: str) -> str:
    """Return the key of what is learned about an address."""
    return f"address|{source.name}|{address}"[:250]


def recall(source: Source, event: Event, tickets: Tickets) -> Memory:
    """Return what is known: under the host's own name, else under its alias."""
    found = [known(key_of(source, event.host, event.service), tickets)]
    row = tickets.state(address_key(source, event.address)) if event.address else None
    hosts = row.value["hosts"] if row and event.service else []
    # Only an address that one host has tells its name.
    if len(hosts) == 1 and hosts[0] != event.host:
        found.insert(0, known(key_of(source, hosts[0], event.service), tickets))
    # What began under the alias also ends there.
    busy = (m for m in found if m.open_ticket or m.value.get("pending"))
    return next(busy, found[0])


def known(key: str, tickets: Tickets) -> Memory:
    """Read one object's row and its open ticket."""
    row = tickets.state(key)
    return Memory(
        key=key,
        value=row.value if row else {},
        ticket_id=row.ticket_id if row else None,
        due_at=row.due_at if row else None,
        open_ticket=tickets.by_open_key(key),
    )


def learn(
    source: Source, event: Event, tickets: Tickets
) -> dict[str, PluginState | None]:
    """Return the row that ties a host's name to its address, where it is new."""
    if event.service or not event.address:
        return {}
    key = address_key(source, event.address)
    row = tickets.state(key)
    hosts = list(row.value["hosts"]) if row else []
    # Two names are as good as twenty: neither is the only one.
    if event.host in hosts or len(hosts) > 1:
        return {}
    return {key: PluginState(value={"hosts": [*hosts, event.host]})}


def is_late(event: Event, memory: Memory) -> bool:
    """Tell whether something newer about this object has already been heard."""
    if event.problem_id and event.kind == "PROBLEM":
        return event.problem_id == memory.value.get("closed_problem_id")
    last = memory.time("at")
    return last is not None and timedelta(seconds=1) < last - event.at <= LATEST


def decide(source: Source, event: Event, memory: Memory) -> str:
    """Return what to do: the table's word, unless settings or order speak against."""
    alone, joined = DECISIONS[event.kind, event.is_ok]
    if event.kind == "ACKNOWLEDGEMENT" and event.author == source.ack_author:
        return "echo"
    if memory.open_ticket is not None:
        if is_late(event, memory):
            return "append"
        stays = source.on_recovery == "note" or (
            not source.close_touched
            and bool(memory.open_ticket.locked_by or memory.open_ticket.owner)
        )
        return "recovered" if joined == "close" and stays else joined
    if alone != "record" and is_late(event, memory):
        return "late"
    is_wanted = {
        "open": rank(event.state) >= rank(source.open_from),
        "flap": source.flap_opens and rank(event.state) >= rank(source.open_from),
        "custom": source.custom_opens,
    }
    if alone in {"open", "flap"} and is_in_downtime(source, event, memory):
        return "record"
    return alone if is_wanted.get(alone, True) else "record"


def rank(state: str) -> int:
    """Return how bad a state is."""
    return SEVERITY.get(state, 0)


def is_in_downtime(source: Source, event: Event, memory: Memory) -> bool:
    """Tell whether a downtime has begun and its end is still to come."""
    since = memory.time("downtime")
    return since is not None and event.at - since < source.longest_downtime


def reopened(
    source: Source, event: Event, memory: Memory, tickets: Tickets
) -> int | None:
    """Return the ticket that a recovery has closed a short while ago."""
    closed = memory.time("closed_at")
    if closed is None or memory.ticket_id is None:
        return None
    ticket = tickets.by_id(memory.ticket_id)
    if ticket is None or event.at > closed + source.reopen:
        return None
    is_usable = ticket.is_active or ticket.state_type is StateType.CLOSED
    return ticket.id if is_usable else None


def changes_of(
    action: str, source: Source, event: Event, memory: Memory, draft: Draft
) -> list[Changes]:
    """Return the changes that ``action`` means, and what is remembered."""
    state, last = {}, memory.ticket_id
    if action != "append" or not is_late(event, memory):
        state = {memory.key: remembered(action, source, event, memory, draft)}
    if action in OPENING:
        return [opening(event, memory, draft, state)]
    if memory.open_ticket is None or action == "echo":
        reason = {"late": "late", "echo": "echo of ours"}.get(action, "stray")
        if action == "late":
            state = {}
        changes = [Changes(discard=f"{reason} {event.summary}", plugin_state=state)]
        if action == "late" and last and draft.tickets.by_id(last):
            changes.append(Changes(ticket_id=last, note=f"Late: {event.summary}"))
        return changes
    ticket = memory.open_ticket
    is_this = draft.ticket is not None and draft.ticket.id == ticket.id
    is_worse = rank(event.state) > rank(memory.value.get("state", ""))
    is_pending = ticket.state_type is StateType.PENDING_REMINDER
    told = {
        "again": "open" if is_pending else None,
        "pend": "pending reminder",
        "close": "closed successful",
        # A mail that joins a waiting ticket would open it.
        "append": ticket.state if is_pending else None,
        "acknowledge": ticket.state if is_pending else None,
    }
    return [
        Changes(
            ticket_id=None if is_this else ticket.id,
            state=told.get(action),
            priority=max(event.priority, ticket.priority)
            if action == "again" and is_worse
            else None,
            owner=source.agents.get(event.author)
            if action == "acknowledge" and not ticket.locked_by
            else None,
            tags=("recovered",) if action == "recovered" else (),
            fields=fields_of(event, action),
            plugin_state=state,
        )
    ]


def opening(
    event: Event,
    memory: Memory,
    draft: Draft,
    state: Mapping[str, PluginState | None],
) -> Changes:
    """Return the changes of a new ticket, or of one that opens again."""
    before = draft.tickets.by_id(memory.ticket_id) if memory.ticket_id else None
    is_new = draft.ticket is None
    return Changes(
        state=None if is_new else "open",
        priority=event.priority if is_new else None,
        open_key=None if event.is_ok else memory.key,
        tags=("monitoring",),
        fields=fields_of(event, "open"),
        note=f"Follows ticket {before.number}." if before and is_new else None,
        plugin_state=state,
    )


def fields_of(event: Event, action: str) -> dict[str, str]:
    """Return the ticket's fields; what is not known stays as it was."""
    fields = {
        "monitor_host": event.host,
        "monitor_service": event.service,
        "monitor_state": event.state if action != "acknowledge" else "",
        "monitor_acknowledged": (event.author or "yes")
        if action == "acknowledge"
        else "",
    }
    return {name: value for name, value in fields.items() if value}


def remembered(
    action: str, source: Source, event: Event, memory: Memory, draft: Draft
) -> PluginState:
    """Return the object's row as it is after this event."""
    old, at = memory.value, event.at.isoformat()
    opens = action in OPENING
    ends_downtime = event.kind in {"DOWNTIMEEND", "DOWNTIMECANCELLED"}
    still_waits = not (event.is_ok or opens or event.kind == "DOWNTIMESTART")
    waits = action == "later" or (still_waits and bool(old.get("pending")))
    value = {
        **old,
        "source": source.name,
        "host": event.host,
        "service": event.service,
        "state": event.state,
        "at": at,
        "pending": waits,
    }
    if event.kind == "DOWNTIMESTART" or ends_downtime:
        value["downtime"] = "" if ends_downtime else at
    if opens:
        value |= {"problem_id": event.problem_id, "closed_at": ""}
    if action == "close":
        value["closed_at"] = at
    if event.kind == "RECOVERY":
        value["closed_problem_id"] = event.problem_id or old.get("problem_id", "")
    grace = draft.tickets.now() + source.downtime_grace
    return PluginState(
        value=value,
        ticket_id=THIS_TICKET if opens else memory.ticket_id,
        due_at=(grace if action == "later" else memory.due_at) if waits else None,
    )
