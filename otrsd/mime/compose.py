"""Compose: what we want to say → the octets of a mail (RFC 5322, RFC 2045-2049).

In: a :class:`Letter`, whose texts may come from strangers. Out: octets in 7 bit with
CRLF, in two steps: :func:`compose` makes and checks everything but the Message-ID,
:func:`sealed` puts that on top (the token in it names an article that has to exist
first). Fails with ComposeError where the octets, read back, are not what was meant:
the standard library has had faults in folding (gh-80222, CVE-2024-6923,
CVE-2025-1795), so its work is looked at before it leaves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from otrsd.errors import PermanentError
from otrsd.mime.parse import parse
from otrsd.model.mail import Address

#: Characters of a subject that we send (reliability.md §5).
SUBJECT_LIMIT = 200
#: Message-IDs that a References field carries: the first and the latest.
REFERENCES_LIMIT = 20
#: Octets of a line without its CRLF (RFC 5322 §2.1.1).
LINE_LIMIT = 998

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SENDABLE = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")
_LONGEST_LOCAL, _LONGEST_ADDRESS = 64, 254
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,240}>")
_FIELD = re.compile(rb"([A-Za-z0-9-]+): ?[ -~\t]*")
_FOLDED = re.compile(rb"[ \t]+[!-~][ -~\t]*")
#: Categories that have no place in a header field.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


class ComposeError(PermanentError):
    """These texts can't be made a mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail to be."""

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    reply_to: Address | None = None
    subject: str
    text: str
    date: datetime
    #: Message-ID of the mail that is answered.
    in_reply_to: str = ""
    #: Message-IDs of the thread, oldest first.
    references: tuple[str, ...] = ()
    #: Of the text, such as ``de``.
    language: str = ""
    #: ``auto-replied`` or ``auto-generated`` (RFC 3834 §5); empty: a person's mail.
    automatic: str = ""
    #: The address that a loop would come back to; set with ``automatic``.
    loop: str = ""


def header_text(text: str) -> str:
    """Return ``text`` on one line, without anything that is not seen (row O01).

    The beginning of an encoded word is broken, so that nobody decodes it.
    """
    shown = (
        " " if c.isspace() else "" if unicodedata.category(c) in _UNSEEN else c
        for c in text
    )
    return " ".join("".join(shown).split()).replace("=?", "= ?")


def sendable(address: str) -> str:
    """Return the form in which SMTP takes an address; empty if it takes none.

    Stricter than RFC 5321: what is left out is what injections are made of (O02).
    """
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    found = _SENDABLE.fullmatch(f"{local}@{domain}")
    if found is None or len(found[1]) > _LONGEST_LOCAL:
        return ""
    return found[0] if len(found[0]) <= _LONGEST_ADDRESS else ""


def compose(letter: Letter) -> bytes:
    """Return the mail without its Message-ID; raise ComposeError."""
    octets = _octets(letter)
    if not _is_meant(octets, letter):
        # Folding a name has gone wrong before; the addresses alone can't.
        letter = _nameless(letter)
        octets = _octets(letter)
        if not _is_meant(octets, letter):
            raise ComposeError("the mail could not be composed: its header is damaged")
    return octets


def sealed(octets: bytes, message_id: str) -> bytes:
    """Return a composed mail with its Message-ID."""
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise ComposeError(f"{message_id!r} is no Message-ID")
    return f"Message-ID: {message_id}\r\n".encode("ascii") + octets


def thread(references: Iterable[str], in_reply_to: str) -> tuple[str, ...]:
    """Return what References says: the thread so far, oldest first, then its end."""
    told = [each for each in references if each != in_reply_to]
    ids = [each for each in (*told, in_reply_to) if _MESSAGE_ID.fullmatch(each)]
    if len(ids) > REFERENCES_LIMIT:
        ids = [ids[0], *ids[-REFERENCES_LIMIT + 1 :]]
    return tuple(dict.fromkeys(ids))


def _octets(letter: Letter) -> bytes:
    message = EmailMessage(policy=SMTP.clone(max_line_length=78, utf8=False))
    message["Date"] = format_datetime(letter.date)
    message["From"] = (_mailbox(letter.sender),)
    message["To"] = tuple(map(_mailbox, letter.to))
    if letter.cc:
        message["Cc"] = tuple(map(_mailbox, letter.cc))
    if letter.reply_to is not None:
        message["Reply-To"] = (_mailbox(letter.reply_to),)
    message["Subject"] = header_text(letter.subject)[:SUBJECT_LIMIT]
    for name, value in _marks(letter):
        message[name] = value
    text = letter.text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    ascii_only = text.isascii() and max(map(len, text.split("\n"))) <= LINE_LIMIT
    message.set_content(
        text.encode("utf-8", "replace").decode("utf-8"),
        charset="us-ascii" if ascii_only else "utf-8",
        cte="7bit" if ascii_only else "quoted-printable",
    )
    # Last: set_content takes every field of that name away.
    if letter.language:
        message["Content-Language"] = header_text(letter.language)
    return _threading(letter) + message.as_bytes()


def _mailbox(address: Address) -> HeaderAddress:
    written = sendable(address.address)
    if not written:
        raise ComposeError(f"{address.address!r} is no address that mail can go to")
    local, _, domain = written.rpartition("@")
    return HeaderAddress(header_text(address.name)[:120], local, domain)


def _marks(letter: Letter) -> Iterable[tuple[str, str]]:
    """Give what tells others not to answer a machine (robots.md §6, send side)."""
    if letter.automatic:
        yield "Auto-Submitted", letter.automatic
        yield "Precedence", "bulk"
        yield "X-Auto-Response-Suppress", "All"
        yield "X-Otrsd-Loop", sendable(letter.loop or letter.sender.address)


def _threading(letter: Letter) -> bytes:
    """Return the fields of ids, folded here: the library would encode long ones."""
    ids = thread(letter.references, letter.in_reply_to)
    lines = ""
    if _MESSAGE_ID.fullmatch(letter.in_reply_to):
        lines += f"In-Reply-To: {letter.in_reply_to}\r\n"
    if ids:
        lines += "References: " + "\r\n ".join(ids) + "\r\n"
    return lines.encode("ascii")


def _is_meant(octets: bytes, letter: Letter) -> bool:
    """Read the octets back; tell whether each field is there once, as meant."""
    names = _names(octets)
    if names is None or len(names) != len(set(names)) or not octets.isascii():
        return False
    mail = parse(octets)
    return (
        not mail.defects
        and _same(mail.to, letter.to)
        and _same(mail.cc, letter.cc)
        and _same(mail.reply_to, (letter.reply_to,) if letter.reply_to else ())
        and mail.author is not None
        and mail.author.address == _bare(letter.sender)
        and mail.subject == header_text(letter.subject)[:SUBJECT_LIMIT].strip()
    )


def _names(octets: bytes) -> list[bytes] | None:
    """Return the names of the header fields; ``None`` if a line is no such thing."""
    head, end, _ = octets.partition(b"\r\n\r\n")
    names: list[bytes] = []
    for line in head.split(b"\r\n"):
        if field := _FIELD.fullmatch(line):
            names.append(field[1].lower())
        elif not names or not _FOLDED.fullmatch(line):
            return None
    lines = octets.split(b"\r\n")
    is_clean = all(
        len(line) <= LINE_LIMIT and not {10, 13, 0} & set(line) for line in lines
    )
    return names if end and is_clean else None


def _same(found: Iterable[Address], wanted: Iterable[Address]) -> bool:
    return [each.address for each in found] == [_bare(each) for each in wanted]


def _bare(address: Address) -> str:
    local, _, domain = sendable(address.address).rpartition("@")
    return f"{local}@{domain.lower()}"


def _nameless(letter: Letter) -> Letter:
    def bare(addresses: Iterable[Address]) -> tuple[Address, ...]:
        return tuple(replace(each, name="") for each in addresses)

    reply_to = bare((letter.reply_to,)) if letter.reply_to else (None,)
    return replace(
        letter,
        sender=replace(letter.sender, name=""),
        to=bare(letter.to),
        cc=bare(letter.cc),
        reply_to=reply_to[0],
    )
