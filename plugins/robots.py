"""Machines' mails into queues of their own: one ticket a case, no flood.

``FORMATS`` lists the programs of a server (cron, logwatch, fail2ban, …); they count
only on a way in that ``match`` names. ``RULES`` lists what registrars write; such a
mail acts only if it comes from a domain of ``registrars`` and our own MX has
authenticated that domain (``trust``): false renewal notices are an old fraud. No link
is ever followed.

Weakness: the text of a mail stays as it is, so an AuthInfo code can be read by
everybody who may read the queue.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

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
    Tickets,
    Trust,
    hookimpl,
)

BANS = (
    r"\[Fail2Ban\] ([^:]+): (?:started|stopped|banned|unbanned)\b.* (?:from|on) +(\S+)"
)
TAG, REBOOT = r"\[package on hold\]", r"\[reboot required\]"
RESULT = r" ?unattended-upgrades result for (\S+):"
#: What a mail does: ``open`` and ``close`` its case, ``report`` (a closed ticket that
#: further ones join), ``count`` (no ticket, only a number).
#: (program, subject, action, key made of the pattern's groups), the first one counts.
FORMATS = tuple(
    (program, re.compile(subject), action, key)
    for program, subject, action, key in (
        ("cron", r"Cron <(\S+)> (.+) \(failed\)", "open", "cron {0} {1}"),
        ("cron", r"Cron <(\S+)> (.+)", "report", "cron {0} {1}"),
        ("logwatch", r"Logwatch for (\S+) \(.+\)", "report", "logwatch {0}"),
        ("fail2ban", BANS, "count", "fail2ban {1} {0}"),
        (
            "upgrades",
            f"(?:{TAG})?(?:{REBOOT})?{RESULT} FAILURE",
            "open",
            "upgrades {0}",
        ),
        ("upgrades", f"(?:{TAG})?{REBOOT}{RESULT} SUCCESS", "open", "upgrades {0}"),
        ("upgrades", f"(?:{TAG})?{RESULT} SUCCESS", "close", "upgrades {0}"),
        (
            "smartd",
            r"SMART .+ \((\w+)\) detected on host: (\S+)",
            "open",
            "smartd {1} {0}",
        ),
        ("mdadm", r"TestMessage event on (\S+?):(.+)", "report", "mdadm {1} {0}"),
        ("mdadm", r"\w+ event on (\S+?):(.+)", "open", "mdadm {1} {0}"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of registrar mail."""

    name: str
    pattern: re.Pattern[str]
    #: The domain's case it belongs to: one open ticket for each.
    case: str
    #: ``open``; ``report``: closed; ``join``: an open case of it, else closed.
    action: Literal["open", "report", "join"] = "open"
    priority: int = 3
    #: When somebody has to act: by the mail's deadline, its expiry less days, or now.
    due: Literal["deadline", "expiry", "now", ""] = ""


def rule(name: str, pattern: str, case: str, **more: object) -> Rule:
    """Make a rule; patterns are looked for in subject and text, in any case."""
    compiled = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    return Rule(name=name, pattern=compiled, case=case, **more)  # type: ignore[arg-type]


#: The first one that matches counts.
RULES = (
    rule(
        "transfer-out",
        r"Confirmation of Registrar Transfer Request"
        r"|Transfer requested\.",
        "out",
        priority=5,
        due="deadline",
    ),
    rule(
        "transfer-in",
        r"Initial Authorization for Registrar Transfer",
        "in",
        priority=4,
        due="deadline",
    ),
    rule(
        "verify-contact",
        r"verify your contact|VERIFICATION required",
        "verify",
        priority=4,
        due="deadline",
    ),
    rule(
        "expired",
        r"has now passed the expiry date|has expired"
        r"|Domain Name Expiry Warning",
        "expiry",
        priority=5,
        due="now",
    ),
    rule(
        "expiring",
        r"going to expire|about to expire|expires on"
        r"|Domain Expiry Notification|Upcoming Domain Renewal",
        "expiry",
        due="expiry",
    ),
    rule(
        "wdrp",
        r"WHOIS Data (?:Confirmation|Reminder)|inaccurate contact data",
        "wdrp",
        action="report",
    ),
    rule("moved-out", r"CHPROV|Providerwechsel", "out", priority=4, due="now"),
    rule("authinfo", r"AuthInfo", "authinfo", action="join", due="deadline"),
    rule("order-done", r"^Status: (?:DONE|success)|\[DONE\]", "order", action="join"),
)
#: Lengths are limited, so that no text can keep a pattern busy.
LABEL = r"[a-z0-9_äöüß](?:[a-z0-9_äöüß-]{0,61}[a-z0-9äöüß])?"
NAME = rf"((?:{LABEL}\.){{1,8}}(?:[a-z]{{2,24}}|xn--[a-z0-9-]{{1,59}}))"
#: Characters of a text that are read.
READ = 20_000
DATE = r"(\d[^\n,;()]{5,24})"
TABLE = re.compile(rf"^{NAME} \| (\d{{4}}-\d\d-\d\d)\s*$", re.MULTILINE | re.IGNORECASE)


def patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    """Compile patterns that are tried in order."""
    return tuple(re.compile(text, re.MULTILINE | re.IGNORECASE) for text in texts)


DOMAIN = patterns(
    rf"^Domain(?: Name)?:\s*{NAME}",
    rf"^Re: Transfer of {NAME}",
    rf"\b(?:for|domain) {NAME}",
    rf"^{NAME} - \d",
    rf"\b{NAME}\b",
)
EXPIRY = patterns(rf"(?:Expiration Date|Expires|expires on)[: ]+{DATE}", rf" - {DATE}")
#: Never exDate: a transfer that is pending is decided on acDate.
DEADLINE = patterns(
    rf"^(?:acDate|Gültig bis):\s*{DATE}",
    rf"(?:contact us before|do not respond by|do not hear from you by|\bby) {DATE}",
)
MONTHS = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
WRITTEN = patterns(
    r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)",
    r"(?P<d>\d\d?)(?:st|nd|rd|th)?[ -](?P<name>[a-z]{3})[a-z]*[ -](?P<y>\d{4})",
    r"(?P<d>\d\d?)\.(?P<m>\d\d?)\.(?P<y>\d{4})",
    r"(?P<a>\d\d?)/(?P<b>\d\d?)/(?P<y>\d{4}|\d\d)",
)


class Registrar(BaseSettings):
    """Somebody whose mails are believed once they are authenticated."""

    #: Domains of From.
    domains: Names
    #: How 03/04/2026 is meant; unknown: the earlier day, and a tag.
    date_order: Literal["dmy", "mdy", ""] = ""


class Settings(BaseSettings):
    """Without settings the plugin does nothing."""

    #: How mails of our own servers come in.
    match: Match = Match()
    #: Queue of FORMATS; of cases of domains; of reports about domains; of look-alikes.
    queue: QueueName = "robots"
    domain_queue: QueueName = "domains"
    report_queue: QueueName = "domains::robots"
    review_queue: QueueName = "junk"
    registrars: tuple[Registrar, ...] = ()
    #: What our MX has authenticated.
    trust: Trust = Trust()
    #: Addresses to which nobody but registrars should write.
    recipients: Names = ()
    #: A ticket of reports is followed by a new one after this time.
    report_period: Duration = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a mail is about and what it does."""

    program: str
    action: str
    #: Of the ticket, and of the row of reports.
    key: str
    queue: str
    priority: int = 3
    fields: Mapping[str, str]
    tags: tuple[str, ...] = ()
    #: Further domains of the same mail, each a case of its own: domain → key.
    others: Mapping[str, str]


class Plugin:
    """The hooks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @hookimpl
    def ticket_keys(self, mail: Mail, envelope: Envelope) -> Iterable[str] | None:
        """Name what is to be locked."""
        case = self._case(mail, envelope)
        return [case.key, *case.others.values()] if case else None

    @hookimpl
    def find_ticket(
        self, mail: Mail, envelope: Envelope, tickets: Tickets
    ) -> int | None:
        """Return the open ticket of the case, or the one that collects reports."""
        case = self._case(mail, envelope)
        if case is None or case.action in {"count", "review"}:
            return None
        ticket = tickets.by_open_key(case.key)
        if case.action == "join":
            domain = case.fields.get("domain", "")
            keys = (short(f"domain {domain} {name}") for name in JOINABLE)
            found = (tickets.by_open_key(key) for key in keys)
            ticket = next((one for one in found if one), None)
        if ticket is not None:
            return ticket.id
        row = tickets.state(f"report {case.key}") if case.action != "open" else None
        if row is None or row.ticket_id is None:
            return None
        since = datetime.fromisoformat(row.value["since"])
        reports = tickets.by_id(row.ticket_id)
        is_fresh = tickets.now() - since < self._settings.report_period
        return reports.id if reports and is_fresh and not reports.is_active else None

    @hookimpl
    def choose_queue(
        self, mail: Mail, envelope: Envelope, queues: Sequence[str]
    ) -> str | None:
        """Return the case's queue, where the site has it."""
        case = self._case(mail, envelope)
        return case.queue if case and case.queue in queues else None

    @hookimpl
    def amend_ticket(
        self, mail: Mail, envelope: Envelope, draft: Draft
    ) -> list[Changes] | None:
        """Make a case of it, a line among reports, or a number."""
        case = self._case(mail, envelope)
        if case is None:
            return None
        if case.action == "count":
            return [counted(case, mail, draft)]
        is_case = draft.ticket is not None and draft.ticket.is_active
        if case.action in {"open", "review"}:
            raised = (
                None if is_case and draft.priority >= case.priority else case.priority
            )
            return [
                Changes(
                    open_key=None if case.action == "review" else case.key,
                    priority=raised,
                    tags=("robot", *case.tags),
                    fields=case.fields,
                ),
                *further(case, mail, draft),
            ]
        closes = case.action == "close" or (case.program == "order-done" and is_case)
        return [reported(case, draft, keeps_open=is_case and not closes)]

    @hookimpl
    def on_due(self, key: str, state: PluginState, tickets: Tickets) -> Changes:
        """Open the ticket of a further domain of a mail."""
        value = state.value
        ticket = tickets.by_open_key(key)
        if ticket is not None:
            note, done = value["note"], {key: None}
            return Changes(ticket_id=ticket.id, note=note, plugin_state=done)
        return Changes(
            open_ticket=True,
            open_key=key,
            queue=value["queue"],
            title=value["title"],
            priority=value["priority"],
            tags=("robot",),
            fields=value["fields"],
            note=value["note"],
            plugin_state={key: None},
        )

    def _case(self, mail: Mail, envelope: Envelope) -> Case | None:
        if self._settings.match.fits(envelope):
            for program, subject, action, key in FORMATS:
                if found := subject.fullmatch(mail.subject):
                    return Case(
                        program=program,
                        action=action,
                        key=short(key.format(*found.groups())),
                        queue=self._settings.queue,
                        fields={"robot": program},
                        others={},
                    )
        return self._registrar_case(mail, envelope)

    def _registrar_case(self, mail: Mail, envelope: Envelope) -> Case | None:
        if not self._settings.registrars:
            return None
        text = f"{mail.subject}\n{mail.text[:READ]}"
        listed = self._registrar(mail)
        is_for_us = any(
            one.lower() in map(str.lower, envelope.rcpt_tos)
            for one in self._settings.recipients
        )
        if listed is None and not is_for_us:
            return None
        domain = listed[1] if listed else ""
        if listed is None or not self._settings.trust.has_proved(mail, domain):
            return Case(
                program="registrar-unverified",
                action="review",
                key="",
                queue=self._settings.review_queue,
                fields={},
                tags=("registrar-unverified",),
                others={},
            )
        found = next((one for one in RULES if one.pattern.search(text)), None)
        if found is None:
            return None
        return domain_case(self._settings, listed[0], found, mail, text)

    def _registrar(self, mail: Mail) -> tuple[Registrar, str] | None:
        """Return the registrar whose domain stands in From, and that domain."""
        author = mail.author.domain if mail.author else ""
        for registrar in self._settings.registrars:
            for domain in registrar.domains:
                if f".{author}".endswith(f".{domain.lower()}"):
                    return registrar, domain
        return None


#: Cases of a domain that a confirmation may join.
JOINABLE = ("out", "in", "verify", "expiry")


def domain_case(
    settings: Settings, registrar: Registrar, found: Rule, mail: Mail, text: str
) -> Case:
    """Read domains and dates out of a registrar's mail."""
    ignored = {one.lower() for r in settings.registrars for one in r.domains}
    table = {a_label(name): day for name, day in TABLE.findall(text)}
    domain = next(iter(table), "") or first_domain(text, ignored)
    expiry, is_guess = read_date(table.get(domain) or first(EXPIRY, text), registrar)
    deadline, is_other_guess = read_date(first(DEADLINE, text), registrar)
    now = mail.date.date() if mail.date else None
    due = {
        "deadline": deadline,
        "expiry": expiry - timedelta(days=5) if expiry else None,
        "now": now,
    }.get(found.due)
    if found.name == "verify-contact" and due is None and now:
        due = now + timedelta(days=14)
    is_near = bool(expiry and now and expiry - now <= timedelta(days=7))
    fields = {
        "robot": found.name,
        "domain": domain,
        "due": due,
        "expiry": expiry,
        "deadline": deadline,
    }
    return Case(
        program=found.name,
        action=found.action,
        key=short(f"domain {domain} {found.case}"),
        queue=settings.domain_queue
        if found.action == "open"
        else settings.report_queue,
        priority=max(found.priority, 4) if is_near else found.priority,
        fields={name: str(value) for name, value in fields.items() if value},
        tags=("date-ambiguous",) if is_guess or is_other_guess else (),
        others={
            name: short(f"domain {name} {found.case}") for name in list(table)[1:21]
        },
    )


def further(case: Case, mail: Mail, draft: Draft) -> list[Changes]:
    """Return what a mail about several domains does to those after the first."""
    changes = []
    for name, key in case.others.items():
        ticket = draft.tickets.by_open_key(key)
        note = f"{mail.subject}\nnames {case.fields.get('domain')} and {name}."
        if ticket is not None:
            changes.append(Changes(ticket_id=ticket.id, note=note))
            continue
        row = PluginState(
            value={
                "queue": case.queue,
                "title": f"{name}: {mail.subject}",
                "priority": case.priority,
                "fields": {"robot": case.program, "domain": name},
                "note": note,
            },
            due_at=draft.tickets.now(),
        )
        changes.append(Changes(plugin_state={key: row}))
    return changes


def counted(case: Case, mail: Mail, draft: Draft) -> Changes:
    """Return the count of a mail that nobody needs to read."""
    row = draft.tickets.state(f"count {case.key}")
    total = (row.value["total"] if row else 0) + 1
    return Changes(
        discard=f"{case.program}: {mail.subject[:80]} (number {total})",
        plugin_state={f"count {case.key}": PluginState(value={"total": total})},
    )


def reported(case: Case, draft: Draft, *, keeps_open: bool) -> Changes:
    """Return the changes of a mail that nobody has to act on."""
    row = draft.tickets.state(f"report {case.key}")
    since = {"since": draft.tickets.now().isoformat()}
    is_first = draft.ticket is None
    state = PluginState(value=since, ticket_id=THIS_TICKET) if is_first else row
    return Changes(
        state=None if keeps_open else "closed successful",
        tags=("robot", *case.tags),
        fields=case.fields,
        plugin_state={f"report {case.key}": state} if state else {},
    )


def first(tried: Iterable[re.Pattern[str]], text: str) -> str:
    """Return the first group of the first pattern that is found."""
    found = (one.search(text) for one in tried)
    return next((match[1] for match in found if match), "")


def first_domain(text: str, ignored: set[str]) -> str:
    """Return the first domain that is not the registrar's own, as A-labels."""
    for one in DOMAIN:
        for name in one.findall(text):
            domain = a_label(name)
            is_own = any(f".{domain}".endswith(f".{each}") for each in ignored)
            if domain and not is_own:
                return domain
    return ""


def a_label(name: str) -> str:
    """Return a domain in the form in which DNS compares it; empty if it is none."""
    try:
        return name.lower().rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def read_date(text: str, registrar: Registrar) -> tuple[date | None, bool]:
    """Return a date, and whether its day and month could be the other way round."""
    for written in WRITTEN:
        found = written.match(text)
        if found is None:
            continue
        part = found.groupdict()
        year = int(part["y"]) + (2000 if len(part["y"]) == 2 else 0)  # noqa: PLR2004 - two digits
        if "a" in part:
            return earliest(year, int(part["a"]), int(part["b"]), registrar.date_order)
        name = part.get("name", "").lower()
        month = MONTHS.index(name) + 1 if name in MONTHS else int(part.get("m") or 0)
        return day(year, month, int(part["d"])), False
    return None, False


def earliest(year: int, a: int, b: int, order: str) -> tuple[date | None, bool]:
    """Read a/b/year; without an order the earlier of two possible days."""
    european, american = day(year, b, a), day(year, a, b)
    if order:
        return (european if order == "dmy" else american), False
    days = sorted({one for one in (european, american) if one})
    return (days[0] if days else None), len(days) > 1


def day(year: int, month: int, number: int) -> date | None:
    """Return a day, ``None`` if the calendar has none such."""
    try:
        return datetime(year, month, number, tzinfo=UTC).date()
    except ValueError:
        return None


def short(key: str) -> str:
    """Return a key of our own that fits a column; commands of cron can be long."""
    if len(key) > 200:  # noqa: PLR2004 - the column's limit less some room
        key = f"{key[:130]}#{hashlib.sha256(key.encode()).hexdigest()}"
    return f"robots {key}"
