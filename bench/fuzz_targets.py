"""What is fuzzed: functions that take any octets, and what must hold of what they say.

A target gets octets and fails by raising. ``scripts/fuzz`` runs each for minutes under
atheris, tests/fuzz a few hundred mutations without it; both start from
:mod:`bench.fuzz_seeds`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise

from otrsd.mime.address import parse_addresses
from otrsd.mime.automatic import recognise
from otrsd.mime.bounce import read_report
from otrsd.mime.charset import decode
from otrsd.mime.fields import decode_words, parameters, raw_text
from otrsd.mime.filename import clean_filename
from otrsd.mime.htmltext import html_to_text
from otrsd.mime.limits import (
    FILENAME_CHARACTERS,
    PARTS,
    SUBJECT_CHARACTERS,
    TEXT_OCTETS,
)
from otrsd.mime.parse import parse
from otrsd.mime.parts import read_part
from otrsd.mime.quotes import Kind, divide, reply_text, signature
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail
from otrsd.model.report import Action

Target = Callable[[bytes], None]
_AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


class FindingError(Exception):
    """Something does not hold that must."""


def _hold(*, true: bool, what: str) -> None:
    # Assertions may be switched off; these may not.
    if not true:
        raise FindingError(what)


def parse_mail(octets: bytes) -> None:
    """Whatever comes is a mail, within the limits, that a database can store."""
    mail = _parsed(octets)
    (mail.text + mail.html + mail.subject + mail.from_text).encode()
    _hold(true=len(mail.text) <= TEXT_OCTETS, what="the text is over its limit")
    _hold(true=len(mail.subject) <= SUBJECT_CHARACTERS, what="the subject is too long")
    _hold(true="\n" not in mail.subject, what="the subject has two lines")
    _hold(true=len(mail.parts) <= PARTS, what="more parts than the limit")
    for part in mail.parts[:3]:
        _name_is_safe(part.filename)
        size = sum(map(len, read_part(octets, part.path)))
        _hold(true=size == part.size, what=f"part {part.path} is not {part.size} long")


def _parsed(octets: bytes) -> Mail:
    mail = parse(octets)
    broken = [d for d in mail.defects if "could not be parsed" in d]
    _hold(true=not broken, what="; ".join(broken))
    return mail


def addresses(octets: bytes) -> None:
    """An address list never raises, and identity is one plain mailbox."""
    found = parse_addresses(raw_text(octets))
    for each in found.addresses:
        (each.name + each.address).encode()
        _hold(true="@" in each.address, what=f"no @ in {each.address!r}")
        _hold(true="\n" not in each.name, what="a name has two lines")
    identity = found.identity
    if identity is not None:
        again = parse_addresses(f"<{identity.address}>")
        _hold(true=again.identity is not None, what=f"{identity!r} can't be read back")


def bounce(octets: bytes) -> None:
    """Every mail can be asked whether a machine wrote it."""
    mail = _parsed(octets)
    for mail_from in ("", "kim@customer.example"):
        envelope = Envelope(mail_from=mail_from, received_at=_AT)
        recognised = recognise(mail, envelope, octets)
        _hold(true=bool(recognised.kind), what="a mail of no kind")
    report = read_report(mail, octets)
    for each in report.recipients:
        each.news.encode()
        _hold(true="\n" not in each.news, what=f"two lines: {each.news!r}")
    _hold(true=report.action in Action, what="no action")


def html(octets: bytes) -> None:
    """HTML of any quality becomes text that can be stored."""
    text = html_to_text(decode(octets, html=True))
    text.encode()
    _hold(true="\0" not in text, what="a NUL in the text")


def names(octets: bytes) -> None:
    """A name of an attachment is one harmless path component."""
    text = raw_text(octets)
    _, named = parameters(f"attachment; {text}")
    for name in (text, *named.values()):
        _name_is_safe(clean_filename(decode_words(name)))


def _name_is_safe(name: str) -> None:
    name.encode()
    _hold(true=len(name) <= FILENAME_CHARACTERS, what=f"too long: {name!r}")
    _hold(true=not name.startswith((".", "-")), what=f"it starts badly: {name!r}")
    _hold(true=not set("/\\\0") & set(name), what=f"it leads elsewhere: {name!r}")
    unseen = [c for c in name if unicodedata.category(c)[0] == "C"]
    _hold(true=not unseen, what=f"it shows not all it has: {name!r}")


def quotes(octets: bytes) -> None:
    """Passages cover a text, and what is a reply is a part of it."""
    text = decode(octets)
    passages = divide(text)
    covered = "".join(text[p.start : p.end] for p in passages)
    _hold(true=covered == text, what="the passages are not the text")
    for passage, following in pairwise(passages):
        _hold(true=passage.kind is not following.kind, what="neighbours of one kind")
    written = "".join(text[p.start : p.end] for p in passages if p.kind is Kind.REPLY)
    if written.strip():
        lines = set(text.splitlines())
        kept = reply_text(text).splitlines()
        _hold(true=lines.issuperset(filter(None, kept)), what="a reply with new lines")
    signature(text)


TARGETS: Mapping[str, Target] = {
    "parse": parse_mail,
    "addresses": addresses,
    "bounce": bounce,
    "html": html,
    "names": names,
    "quotes": quotes,
}
