"""Recognise mail that no person has written, so that nobody answers a machine.

In: a parsed mail, its envelope and its octets. Out: a :class:`Recognised`: what kind
of mail it is, and by which mark. The table is asked from top to bottom, the first row
that fits counts (RFC 3834 §2, RFC 3464, RFC 8098, RFC 5965). Nothing fails. A sender
can write every one of these marks, so they only ever take an answer away, and never
give a right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail


class Kind(StrEnum):
    """Who, or what, has written a mail."""

    HUMAN = "human"
    #: Undeliverable, for good; for now; or told to have arrived (RFC 3464).
    BOUNCE = "bounce"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    #: A receipt (RFC 8098), an abuse report (RFC 5965), an answer to an invitation.
    RECEIPT = "receipt"
    ABUSE_REPORT = "abuse-report"
    CALENDAR = "calendar"
    #: Another ticket system.
    TICKET_SYSTEM = "ticket-system"
    VACATION = "vacation"
    LIST = "list"
    BULK = "bulk"
    AUTOMATIC = "automatic"
    #: It came with the null reverse-path.
    NULL_SENDER = "null-sender"
    #: A person, but one who asks for no automatic answer.
    SUPPRESSED = "suppressed"


#: Kinds that say something about a mail of ours; they change no state.
QUIET = frozenset({Kind.VACATION, Kind.RECEIPT, Kind.DELAYED, Kind.DELIVERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a mail is, and how that was seen."""

    kind: Kind = Kind.HUMAN
    #: The mark, for a person: ``Auto-Submitted: auto-replied``.
    mark: str = ""

    @property
    def is_human(self) -> bool:
        """Tell whether an automatic answer may go out."""
        return self.kind is Kind.HUMAN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """What the table looks at: the first value of each field, in lower case."""

    fields: Mapping[str, str]
    subject: str
    author: str
    null_sender: bool
    types: frozenset[str]
    content: bytes

    def get(self, name: str) -> str:
        """Return a field's value; empty if there is none."""
        return self.fields.get(name, "")

    def word(self, name: str) -> str:
        """Return a field's value without comments and parameters."""
        return _PARAMETERS.sub("", self.get(name)).strip()


_PARAMETERS = re.compile(r"[;(].*", re.DOTALL)
_REPORT = re.compile(r"report-type\s*=\s*\"?([\w-]+)")
_ACTION = re.compile(rb"^action:[ \t]*(\w+)", re.MULTILINE | re.IGNORECASE)
#: Octets of a report that are read.
_READ = 256 * 1024
_MAILER = re.compile(r"(?:mailer-daemon|postmaster)@")
_OUT_OF_OFFICE = re.compile(
    r"automatic reply|automatische antwort|réponse automatique|respuesta automática"
    r"|automatisch antwoord|out of office|abwesenheit|auto:"
)
_LISTS = ("list-id", "list-post", "mailing-list", "x-mailing-list")
_BULKS = ("list-unsubscribe", "feedback-id")
_REPLIERS = (
    *("x-autoreply", "x-autorespond", "x-autoresponse", "x-autoreply-from"),
    *("x-mail-autoreply", "x-ms-exchange-inbox-rules-loop"),
)
_OTHER_SYSTEMS = (
    *("x-otrsd-loop", "x-otrs-loop", "x-loop", "x-no-loop", "x-otobo-loop"),
    *("x-rt-loop-prevention", "x-roundup-loop", "x-fc-machinegenerated"),
)
#: What a report may say of a recipient (RFC 3464 §2.3.3), the worst first; one that
#: says nothing of the kind says that it failed.
_ACTIONS = ("failed", "delayed", "relayed", "expanded", "delivered")
_SUPPRESSING = frozenset({"all", "autoreply", "dr"})


def _report(marks: _Marks) -> str:
    content_type = marks.get("content-type")
    found = _REPORT.search(content_type)
    if found is None or "multipart/report" not in content_type:
        return ""
    return found[1]


def _any(marks: _Marks, names: tuple[str, ...]) -> str:
    return next((name for name in names if marks.get(name)), "")


def _delivery(*actions: str) -> Callable[[_Marks], str]:
    """Make the test for a report about delivery with one of these actions."""

    def test(marks: _Marks) -> str:
        if _report(marks) != "delivery-status":
            return ""
        # One report may tell of several recipients: the worst news counts.
        found = {each.lower().decode() for each in _ACTION.findall(marks.content)}
        action = next((each for each in _ACTIONS if each in found), "failed")
        return f"a delivery report: {action}" if action in actions else ""

    return test


def _old_bounce(marks: _Marks) -> str:
    if not marks.null_sender:
        return ""
    if marks.get("x-failed-recipients"):
        return "X-Failed-Recipients"
    return "a mailer daemon's mail" if _MAILER.match(marks.author) else ""


def _vacation(marks: _Marks) -> str:
    submitted = marks.word("auto-submitted")
    if submitted == "auto-replied":
        return "Auto-Submitted: auto-replied"
    if found := _any(marks, _REPLIERS):
        return found
    if "mailbox rules agent" in marks.get("x-ms-exchange-generated-message-source"):
        return "X-MS-Exchange-Generated-Message-Source"
    if submitted == "auto-generated" and _OUT_OF_OFFICE.match(marks.subject):
        return "Auto-Submitted, and a subject of an absence"
    return ""


def _list(marks: _Marks) -> str:
    return _any(marks, _LISTS) or (
        "Precedence: list" if marks.word("precedence") == "list" else ""
    )


def _bulk(marks: _Marks) -> str:
    if found := _any(marks, _BULKS):
        return found
    for name in ("precedence", "x-precedence"):
        if marks.word(name) in {"bulk", "junk", "auto_reply"}:
            return f"{name}: {marks.word(name)}"
    return ""


def _automatic(marks: _Marks) -> str:
    submitted = marks.word("auto-submitted")
    if submitted and submitted != "no":
        return f"Auto-Submitted: {submitted[:40]}"
    return _any(marks, ("feedback-type", "x-failed-recipients"))


def _suppressed(marks: _Marks) -> str:
    wanted = {each.strip() for each in marks.get("x-auto-response-suppress").split(",")}
    return "X-Auto-Response-Suppress" if wanted & _SUPPRESSING else ""


#: Kind → its test, which returns the mark that it saw; the first that sees one counts.
_TABLE: tuple[tuple[Kind, Callable[[_Marks], str]], ...] = (
    (Kind.BOUNCE, _delivery("failed")),
    (Kind.DELAYED, _delivery("delayed")),
    (Kind.DELIVERED, _delivery("relayed", "delivered", "expanded")),
    (
        Kind.RECEIPT,
        lambda m: "a receipt" if _report(m) == "disposition-notification" else "",
    ),
    (
        Kind.ABUSE_REPORT,
        lambda m: "an abuse report" if _report(m) == "feedback-report" else "",
    ),
    (
        Kind.CALENDAR,
        lambda m: (
            "an answer to an invitation"
            if "text/calendar" in m.types and "method=reply" in m.get("content-type")
            else ""
        ),
    ),
    (Kind.BOUNCE, _old_bounce),
    (Kind.TICKET_SYSTEM, lambda m: _any(m, _OTHER_SYSTEMS)),
    (
        Kind.TICKET_SYSTEM,
        lambda m: "X-Powered-By: OTRS" if "otrs" in m.get("x-powered-by") else "",
    ),
    (Kind.VACATION, _vacation),
    (Kind.LIST, _list),
    (Kind.BULK, _bulk),
    (Kind.AUTOMATIC, _automatic),
    (
        Kind.NULL_SENDER,
        lambda m: "the null reverse-path" if m.null_sender else "",
    ),
    (
        Kind.SUPPRESSED,
        lambda m: "a subject of an absence" if _OUT_OF_OFFICE.match(m.subject) else "",
    ),
    (Kind.SUPPRESSED, _suppressed),
)


def recognise(mail: Mail, envelope: Envelope, content: bytes = b"") -> Recognised:
    """Return what a mail is; of a report, ``content`` tells what it reports."""
    marks = _marks(mail, envelope, content[:_READ])
    for kind, test in _TABLE:
        if mark := test(marks):
            return Recognised(kind=kind, mark=mark)
    return Recognised()


def _marks(mail: Mail, envelope: Envelope, content: bytes) -> _Marks:
    fields: dict[str, str] = {}
    for each in mail.headers:
        fields.setdefault(each.name.lower(), each.value.strip().lower() or "(empty)")
    types = {part.content_type for part in mail.parts}
    if fields.get("content-type", "").startswith("text/calendar"):
        types.add("text/calendar")
    return _Marks(
        fields=fields,
        subject=mail.subject.lower(),
        author=(mail.author.address if mail.author else envelope.mail_from).lower(),
        null_sender=envelope.is_from_null or fields.get("return-path") == "<>",
        types=frozenset(types),
        content=content,
    )
