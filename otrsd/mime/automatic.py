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

from otrsd.mime.bounce import Signs, read_report, weight
from otrsd.mime.bounce.signs import ENOUGH
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail
from otrsd.model.report import Action, Report


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
    #: How a receiver's mail system judged mail of a domain of ours (RFC 7489 §7.2).
    DMARC_REPORT = "dmarc-report"
    #: Another ticket system.
    TICKET_SYSTEM = "ticket-system"
    #: It wants us to prove that a person wrote.
    CHALLENGE = "challenge"
    VACATION = "vacation"
    LIST = "list"
    BULK = "bulk"
    AUTOMATIC = "automatic"
    #: It came with the null reverse-path.
    NULL_SENDER = "null-sender"
    #: A person, but one who asks for no automatic answer.
    SUPPRESSED = "suppressed"


#: Reports about the delivery of a mail.
REPORTS = frozenset({Kind.BOUNCE, Kind.DELAYED, Kind.DELIVERED})
#: Kinds that say something about a mail of ours; they change no state.
QUIET = frozenset(
    (
        *(Kind.DELAYED, Kind.DELIVERED, Kind.RECEIPT, Kind.CALENDAR),
        *(Kind.VACATION, Kind.CHALLENGE),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What a mail is, and how that was seen."""

    kind: Kind = Kind.HUMAN
    #: The mark, for a person: ``Auto-Submitted: auto-replied``.
    mark: str = ""
    #: What a report about a delivery tells; only of ``REPORTS``.
    report: Report | None = None

    @property
    def is_human(self) -> bool:
        """Tell whether an automatic answer may go out."""
        return self.kind is Kind.HUMAN

    @property
    def is_failure(self) -> bool:
        """Tell whether it reports that a mail failed, for good or so far."""
        return self.kind in {Kind.BOUNCE, Kind.DELAYED}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """What the table looks at: the first value of each field, in lower case."""

    fields: Mapping[str, str]
    subject: str
    null_sender: bool
    types: frozenset[str]
    content: bytes

    def get(self, name: str) -> str:
        """Return a field's value; empty if there is none."""
        return self.fields.get(name, "")

    def word(self, name: str) -> str:
        """Return a field's value without comments and parameters (RFC 3834 §5)."""
        value = self.fields.get(name, "")
        return _PARAMETERS.sub("", _COMMENT.sub("", value)).strip() if value else ""


_COMMENT = re.compile(r"\([^()]{0,200}\)")
_PARAMETERS = re.compile(r"[;(].*", re.DOTALL)
_REPORT = re.compile(r"report-type\s{0,9}=\s{0,9}\"?([\w-]+)")
_CALENDAR_REPLY = re.compile(
    rb"text/calendar;[^\n]{0,200}(?:\n[ \t][^\n]{0,200}){0,4}method=\"?reply",
    re.IGNORECASE,
)
#: Octets in which an answer to an invitation is looked for.
_READ = 64 * 1024
#: How clients begin the subject of an absence, in the languages that they speak.
_ABSENCES = (
    *("automatic reply", "automatic response", "auto reply", "auto-reply", "autoreply"),
    *("auto response", "auto-response", "autoresponse", "auto:", "out of office"),
    *("out of the office", "out-of-office", "ooo:", "i am out of the office"),
    *("i'm out of the office", "vacation reply", "vacation response", "on vacation"),
    *("automatische antwort", "automatische reply", "abwesenheitsnotiz"),
    *("abwesenheitsnachricht", "abwesenheitsassistent", "abwesenheitsmeldung"),
    *("abwesenheit:", "abwesend:", "abwesend bis", "autom. antwort", "außer haus"),
    *("réponse automatique", "reponse automatique", "absence du bureau"),
    *("absent du bureau", "message d'absence", "notification d'absence"),
    *("respuesta automática", "respuesta automatica", "fuera de la oficina"),
    *("risposta automatica", "fuori sede", "fuori ufficio", "assenza dall'ufficio"),
    *("assente dall'ufficio", "resposta automática", "resposta automatica"),
    *("ausência temporária", "fora do escritório", "automatisch antwoord"),
    *("afwezigheid", "afwezig:", "automatiskt svar", "autosvar", "frånvaro"),
    *("automatisk svar", "ikke til stede", "fraværsmelding", "fraværende"),
    *("automaattinen vastaus", "poissaolo", "automatyczna odpowiedź"),
    *("odpowiedź automatyczna", "autoodpowiedź", "poza biurem", "nieobecność"),
    *("automatická odpověď", "automatická odpoveď", "mimo kancelář"),
    *("automatikus válasz", "házon kívül", "răspuns automat", "automatski odgovor"),
    *("samodejni odgovor", "автоматический ответ", "автоответ", "вне офиса"),
    *("автоматична відповідь", "автоматичен отговор", "otomatik yan"),
    *("αυτόματη απάντηση", "εκτός γραφείου", "自動応答", "自動返信"),
    *(
        "不在通知",
        "不在:",
        "自动答复",
        "自动回复",
        "自動回覆",
        "자동 회신",
        "자동 응답",
    ),
    *("부재중", "תשובה אוטומטית", "رد تلقائي", "automatiline vastus"),
)
#: How a challenge asks; it counts only where a machine has marked it as its own.
_CHALLENGES = (
    *("please confirm your message", "please confirm your e", "confirm your email"),
    *("please verify your message", "verify your email", "sender verification"),
    *("message verification", "confirmation required", "[spam arrest]"),
    *("bitte bestätigen sie ihre", "action required to deliver"),
)
_LISTS = ("list-id", "list-post", "mailing-list", "x-mailing-list")
_BULKS = ("list-unsubscribe", "feedback-id")
_REPLIERS = (
    *("x-autoreply", "x-auto-reply", "x-autorespond", "x-autoresponse"),
    *("x-autoreply-from", "x-mail-autoreply"),
    *("x-ms-exchange-inbox-rules-loop", "x-autoresponder"),
)
#: Field → what it says of an absence.
_REPLYING = (
    ("x-ms-exchange-generated-message-source", "mailbox rules agent"),
    ("x-apple-action", "vacation"),
    ("x-post-messageclass", "autoresponder"),
    *((name, "auto_reply") for name in ("precedence", "x-precedence")),
    *((name, "auto-reply") for name in ("precedence", "x-precedence")),
    ("delivered-to", "autoresponder"),
    ("x-autogenerated", "reply"),
)
_OTHER_SYSTEMS = (
    *("x-otrsd-loop", "x-otrs-loop", "x-loop", "x-no-loop", "x-otobo-loop"),
    *("x-rt-loop-prevention", "x-roundup-loop", "x-fc-machinegenerated"),
)
_AUTOMATIC = ("feedback-type", "x-failed-recipients", "x-autogenerated", "x-cron-env")
_SUPPRESSING = frozenset({"all", "autoreply", "dr"})


def _report(marks: _Marks) -> str:
    """Return what a multipart/report (RFC 6522) reports; ``?`` if it does not tell."""
    content_type = marks.get("content-type")
    if "multipart/report" not in content_type:
        return ""
    found = _REPORT.search(content_type)
    return found[1] if found else "?"


def _part_of_report(report: str) -> Callable[[_Marks], str]:
    """Make the test for a report of one type, or a part that is one."""
    what = report.replace("-", " ")

    def test(marks: _Marks) -> str:
        fits = _report(marks) == report or f"message/{report}" in marks.types
        return f"a {what}" if fits else ""

    return test


def _any(marks: _Marks, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in marks.fields), "")


def _calendar(marks: _Marks) -> str:
    if "text/calendar" not in marks.types:
        return ""
    found = _CALENDAR_REPLY.search(marks.content[:_READ])
    return "an answer to an invitation" if found else ""


def _dmarc(marks: _Marks) -> str:
    subject = marks.subject
    fits = subject.startswith("report domain:") and "submitter:" in subject
    return "the subject of a DMARC report" if fits else ""


def _challenge(marks: _Marks) -> str:
    if not marks.subject.startswith(_CHALLENGES):
        return ""
    submitted = marks.word("auto-submitted")
    is_machine = marks.null_sender or submitted not in {"", "no"}
    return "a challenge" if is_machine or marks.get("precedence") else ""


def _vacation(marks: _Marks) -> str:
    submitted = marks.word("auto-submitted")
    if submitted == "auto-replied":
        return "Auto-Submitted: auto-replied"
    if found := _any(marks, _REPLIERS):
        return found
    for name, value in _REPLYING:
        if value in marks.get(name):
            return f"{name}: {value}"
    if submitted == "auto-generated" and marks.subject.startswith(_ABSENCES):
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
        if marks.word(name) in {"bulk", "junk"}:
            return f"{name}: {marks.word(name)}"
    return ""


def _automatic(marks: _Marks) -> str:
    submitted = marks.word("auto-submitted")
    if submitted and submitted != "no":
        return f"Auto-Submitted: {submitted[:40]}"
    return _any(marks, _AUTOMATIC)


def _suppressed(marks: _Marks) -> str:
    wanted = {each.strip() for each in marks.get("x-auto-response-suppress").split(",")}
    return "X-Auto-Response-Suppress" if wanted & _SUPPRESSING else ""


#: Kind → its test, which returns the mark that it saw; the first that sees one counts.
_TABLE: tuple[tuple[Kind, Callable[[_Marks], str]], ...] = (
    (Kind.RECEIPT, _part_of_report("disposition-notification")),
    (Kind.ABUSE_REPORT, _part_of_report("feedback-report")),
    (Kind.CALENDAR, _calendar),
    (Kind.DMARC_REPORT, _dmarc),
    (Kind.TICKET_SYSTEM, lambda m: _any(m, _OTHER_SYSTEMS)),
    (
        Kind.TICKET_SYSTEM,
        lambda m: "X-Powered-By: OTRS" if "otrs" in m.get("x-powered-by") else "",
    ),
    (Kind.CHALLENGE, _challenge),
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
        lambda m: "a subject of an absence" if m.subject.startswith(_ABSENCES) else "",
    ),
    (Kind.SUPPRESSED, _suppressed),
)
#: What a report tells → its kind.
_NEWS = {Action.FAILED: Kind.BOUNCE, Action.DELAYED: Kind.DELAYED}


def recognise(mail: Mail, envelope: Envelope, content: bytes = b"") -> Recognised:
    """Return what a mail is; of a report, ``content`` tells what it reports."""
    marks = _marks(mail, envelope, content)
    if mark := _returned(mail, marks):
        report = read_report(mail, content)
        kind = _NEWS.get(report.action, Kind.DELIVERED)
        return Recognised(kind=kind, mark=f"{mark}: {report.action}", report=report)
    for kind, test in _TABLE:
        if mark := test(marks):
            return Recognised(kind=kind, mark=mark)
    return Recognised()


def _returned(mail: Mail, marks: _Marks) -> str:
    """Return the mark of a report about a delivery, or of a letter that is one."""
    report = _report(marks)
    if report == "delivery-status":
        return "a delivery report"
    if report == "feedback-report" or "message/feedback-report" in marks.types:
        return ""
    author = marks.get("from")
    signs = Signs(
        author=author,
        has_author="@" in author,
        subject=marks.subject,
        null_sender=marks.null_sender,
        failed_recipients="x-failed-recipients" in marks.fields,
        is_report=bool(report),
        is_automatic=marks.word("auto-submitted") not in {"", "no"},
        types=marks.types,
        text=mail.text,
    )
    return "a mail system's letter" if weight(signs) >= ENOUGH else ""


def _marks(mail: Mail, envelope: Envelope, content: bytes) -> _Marks:
    fields: dict[str, str] = {}
    for each in mail.headers:
        fields.setdefault(each.name.lower(), each.value.strip().lower() or "(empty)")
    # What some programs write for it: RFC 5321 §4.5.5 knows only ``<>``.
    path = fields.get("return-path", "")
    told = envelope.is_from_null or path.startswith(("<>", "<mailer-daemon"))
    types = {part.content_type for part in mail.parts}
    return _Marks(
        fields=fields,
        subject=mail.subject.lower(),
        null_sender=told or content.startswith(b"From MAILER-DAEMON"),
        types=frozenset(types),
        content=content,
    )
