"""Read what a mail system reports: octets → :class:`~otrsd.model.report.Report`.

In: a parsed mail that is known to be a report or a letter of that sort, and its
octets. Out: about which mail it is, and what became of which recipient. The fields of
RFC 3464 count first, then X-Failed-Recipients, then the addresses that the letter
names before the returned mail begins. Broken fields are passed over; nothing fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from otrsd.mime.bounce.reasons import code_in, judge, status_in
from otrsd.mime.bounce.signs import is_delay, returned_at
from otrsd.mime.charset import decode
from otrsd.mime.fields import decode_words
from otrsd.mime.scan import Entity, scan
from otrsd.mime.transfer import decode_transfer
from otrsd.model.mail import Mail
from otrsd.model.report import Action, Recipient, Report

#: Octets of the report that are looked at.
_SCANNED = 1024 * 1024
#: Octets that are searched for the returned header; of one status part; characters
#: of the letter, and lines of it; of what is kept of a diagnostic.
_RETURNED, _STATUS_PART, _LETTER, _LINES, _KEPT = 256 * 1024, 64 * 1024, 6000, 300, 300
_RECIPIENTS, _STATUS_PARTS = 50, 5
_MESSAGE_ID = re.compile(
    r"^[> \t]{0,8}(?:x-)?(?:original-)?message-id:[ \t]{0,8}(?:\r?\n[ \t]{1,8})?"
    r"(<[^<>\s]{1,250}>)",
    re.IGNORECASE | re.MULTILINE,
)
#: A line that is indented and yet begins a field is none of the subject's.
_SUBJECT = re.compile(
    r"^[> \t]{0,8}subject:[ \t]{0,8}([^\r\n]{1,998}"
    r"(?:\r?\n[ \t](?![ \t]{0,8}[\w-]{1,40}:)[^\r\n]{1,998}){0,5})",
    re.IGNORECASE | re.MULTILINE,
)
_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_BLANK = re.compile(r"\n[ \t]*\n")
_FIELD = re.compile(
    r"^([a-z-]{4,40})[ \t]*:[ \t]*([^\n]{0,2000}(?:\n[ \t][^\n]{0,2000}){0,20})",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_{|}~.-]{1,64}@[a-z0-9][a-z0-9.-]{0,190}[a-z0-9]",
    re.IGNORECASE,
)
#: What may stand before the address in a line that is about a recipient.
_LEAD = re.compile(
    r"[\s*>•#-]*(?:(?:\w[\w ()]{0,40}):)?[\s\"'<\[(]*(?:smtp:|rfc822;|to:)?[\s\"'<]*\Z",
    re.IGNORECASE,
)
#: Lines that name somebody else.
_OTHERS = ("from", "postmaster", "contact", "support", "help", "sender", "message-id")
_WORD = re.compile(r"\w+")


def read_report(mail: Mail, content: bytes) -> Report:
    """Return what ``mail`` reports."""
    try:
        return _read(mail, content)
    except Exception:  # noqa: BLE001 - a mail is never lost to a reader's bug
        return Report()


def _read(mail: Mail, content: bytes) -> Report:
    # What comes back may be as large as what was sent; it stands last.
    content = content[:_SCANNED]
    root = scan(content).root
    raw = content[root.start : root.start + _RETURNED].decode("latin-1")
    sources = (raw, mail.text)
    found = _first(_MESSAGE_ID, sources) or next(iter(mail.references), "")
    subject = decode_words(_first(_SUBJECT, sources))
    recipients = _by_fields(mail, content, root) or _by_letter(mail)
    # A system may report one address for each of its attempts: the last one counts.
    each_once = {each.address.lower(): each for each in recipients}
    return Report(
        message_id=found,
        subject=" ".join(subject.split())[:998],
        recipients=tuple(each_once.values()),
    )


def _first(pattern: re.Pattern[str], sources: tuple[str, ...]) -> str:
    matches = (pattern.search(each) for each in sources)
    return next((match[1] for match in matches if match), "")


def _by_fields(mail: Mail, content: bytes, root: Entity) -> list[Recipient]:
    """Return the recipients of the report's fields (RFC 3464 §2.3)."""
    parts = islice(_status_parts(root), _STATUS_PARTS)
    texts = [_part(content, entity) for entity in parts]
    if not texts and "final-recipient:" in mail.text.lower():
        # Its delimiters are broken: the fields stand in what reads as text.
        texts.append(mail.text[:_STATUS_PART])
    letter = _Letter.of(mail)
    groups = (g for text in texts for g in _BLANK.split(text)[: 2 * _RECIPIENTS])
    read = (_of_fields(_fields(group), letter) for group in groups)
    return list(islice((each for each in read if each is not None), _RECIPIENTS))


def _fields(group: str) -> dict[str, str]:
    return {match[1].lower(): match[2] for match in _FIELD.finditer(group)}


def _status_parts(root: Entity) -> Iterator[Entity]:
    """Give the status parts, those inside the returned mail not among them."""
    waiting = [root]
    while waiting:
        entity = waiting.pop()
        if entity.content_type in _STATUS_TYPES:
            yield entity
        elif entity.content_type != "message/rfc822":
            waiting.extend(reversed(entity.children))


def _part(content: bytes, entity: Entity) -> str:
    octets = bytearray()
    for chunk in decode_transfer(content, entity.start, entity.end, entity.encoding):
        octets += chunk
        if len(octets) >= _STATUS_PART:
            break
    return decode(bytes(octets[:_STATUS_PART])).replace("\r\n", "\n")


def _of_fields(fields: dict[str, str], letter: _Letter) -> Recipient | None:
    told = (fields.get(f"{each}-recipient", "") for each in ("original", "final"))
    addresses = [match[0] for each in told if (match := _ADDRESS.search(each))]
    if not addresses and not fields.keys() & {"final-recipient", "action"}:
        return None
    address = addresses[0] if addresses else ""
    kind, semicolon, said = fields.get("diagnostic-code", "").partition(";")
    said = _flat(said if semicolon else kind) or letter.about(address)
    # What the other side said is nearer to the truth than what ours made of it.
    status = status_in(said) or status_in(fields.get("status", ""))
    return _recipient(
        address,
        _action(fields.get("action", "")),
        said,
        status=status,
        whole="" if status else letter.flat,
    )


def _action(text: str) -> Action:
    word = _WORD.search(text.lower())
    known = {str(each) for each in Action}
    return Action(word[0]) if word and word[0] in known else Action.FAILED


def _by_letter(mail: Mail) -> list[Recipient]:
    """Return the recipients whom the letter, or X-Failed-Recipients, names."""
    letter = _Letter.of(mail)
    action = Action.DELAYED if is_delay(mail.subject, mail.text) else Action.FAILED
    named = _ADDRESS.findall((mail.header("x-failed-recipients") or "")[:_LETTER])
    said = [each.address for each in letter.said.values()]
    return [
        _recipient(each, action, letter.about(each), whole=letter.flat)
        for each in (list(dict.fromkeys(named)) or said)[:_RECIPIENTS]
    ] or [_recipient("", action, letter.flat)]


@dataclass(slots=True)
class _Said:
    """What a letter says of one address."""

    address: str
    words: list[str] = field(default_factory=list)
    #: It stands where a recipient stands: first in its line.
    leads: bool = False


@dataclass(frozen=True, slots=True)
class _Letter:
    """What a mail system writes in words, before the returned mail."""

    flat: str
    #: Address in lower case → what is said of it.
    said: dict[str, _Said]

    @staticmethod
    def of(mail: Mail) -> _Letter:
        """Return the letter of a mail."""
        text = mail.text[:_LETTER]
        text = text[: returned_at(text.lower())]
        ours = {each.address.lower() for each in (*mail.to, *mail.cc)}
        return _Letter(_flat(text), _said(text.splitlines()[:_LINES], ours))

    def about(self, address: str) -> str:
        """Return what it says of one address, on one line."""
        said = self.said.get(address.lower())
        if said is None:
            return ""
        words = _flat(" ".join(said.words)).lstrip("<\"'[(*•> ")
        return words.removeprefix(said.address).lstrip(">\"')]:;,. ")


def _said(lines: list[str], ours: set[str]) -> dict[str, _Said]:
    """Return what a letter says of each address: the line, and those below it."""
    said: dict[str, _Said] = {}
    last: _Said | None = None
    for line in lines:
        match = _ADDRESS.search(line[:1000])
        lead = line[: match.start()] if match else ""
        if match and not any(each in lead.lower() for each in _OTHERS):
            key = match[0].lower()
            if key not in ours:
                last = said.setdefault(key, _Said(address=match[0]))
                last.leads = last.leads or bool(_LEAD.match(lead[-80:]))
        if last is not None:
            last.words.append(line)
    if any(each.leads for each in said.values()):
        return {key: each for key, each in said.items() if each.leads}
    return said


def _recipient(
    address: str, action: Action, said: str, *, status: str = "", whole: str = ""
) -> Recipient:
    code = code_in(said) or code_in(whole)
    status = status or status_in(said) or status_in(whole)
    status, is_hard = judge(action, status, code, said or whole)
    return Recipient(
        address=address,
        action=action,
        status=status,
        code=code,
        diagnostic=said[:_KEPT],
        is_hard=is_hard,
    )


def _flat(text: str) -> str:
    return " ".join(text.split())
