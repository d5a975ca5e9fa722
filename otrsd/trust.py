"""Settings by which a plugin knows whom to believe.

:class:`Match` asks how a mail came (channel, peer, envelope); :class:`Trust` asks
which header fields our own MX has written (a scanner's verdict, RFC 8601's
Authentication-Results). Both are safe where nothing is set: an empty ``Match`` fits
nothing, ``Trust`` believes no field. Position alone does not prove a field, so say in
``mode`` what the MX does.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from hmac import compare_digest
from typing import Literal

from pydantic import model_validator

from otrsd.config.models import Names
from otrsd.config.settings import Settings
from otrsd.model.envelope import Envelope
from otrsd.model.mail import HeaderField, Mail

_BY = re.compile(r"(?:^|\s)by\s+([^\s;()]+)", re.IGNORECASE)
#: Comments and quoted strings may hold whatever the sender likes.
_FREE_TEXT = re.compile(r"\([^()]*\)|\"(?:[^\"\\]|\\.)*\"")
_RESULT = re.compile(r"\s*(dkim|spf|dmarc)\s*=\s*pass\b", re.IGNORECASE)
#: Which property of a passed method names the domain it has proved.
_PROOF = re.compile(
    r"(?:header\.d|header\.i|header\.from|smtp\.mailfrom)=(\S+)", re.IGNORECASE
)


class Match(Settings):
    """How a mail came; all that is given must fit. ``*`` stands for any text."""

    #: smtp, lmtp, pipe, socket, pop3, imap.
    channel: Names = ()
    #: Name given to ``otrsd pipe --profile``.
    profile: Names = ()
    #: Envelope sender; anybody may write one: name ``peer`` too.
    mail_from: Names = ()
    #: Addresses or networks of the client, or ``uid:1000`` for pipe and socket.
    peer: Names = ()
    #: Envelope recipient.
    recipient: Names = ()

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is given, so that nothing fits."""
        given = (self.channel, self.profile, self.mail_from, self.peer, self.recipient)
        return not any(given)

    def fits(self, envelope: Envelope) -> bool:
        """Tell whether something is given and all of it fits."""
        return (
            not self.is_empty
            and _fits(envelope.channel, self.channel)
            and _fits(envelope.profile, self.profile)
            and _fits(envelope.mail_from, self.mail_from)
            and (not self.peer or any(_is_in(envelope.peer, one) for one in self.peer))
            and (not self.recipient or is_like(envelope.rcpt_tos, self.recipient))
        )


class Trust(Settings):
    """Which header fields count as written by our own MX.

    ``none``: no field. ``above-received``: those above the topmost Received field
    that one of ``mx`` wrote. ``stripped``: all, because the MX deletes a sender's own
    first. ``token``: all of a mail that carries ``X-Otrsd-MX`` with this token, which
    the MX adds.
    """

    mode: Literal["none", "above-received", "stripped", "token"] = "none"
    #: Names of our MXs: in ``by`` of Received and as authserv-id.
    mx: Names = ()
    token: str = ""

    @model_validator(mode="after")
    def _is_complete(self) -> Trust:
        if self.mode == "above-received" and not self.mx:
            raise ValueError("needs 'mx': which host's Received field is ours?")
        if self.mode == "token" and not self.token:
            raise ValueError("needs 'token': what does our MX write?")
        return self

    def fields(self, mail: Mail) -> tuple[HeaderField, ...]:
        """Return the fields that count, in order."""
        if self.mode == "none":
            return ()
        if self.mode == "above-received":
            ours = (n for n, field in enumerate(mail.headers) if self._is_ours(field))
            return mail.headers[: next(ours, 0)]
        if self.mode == "token":
            found = mail.header_all("X-Otrsd-MX")
            wanted = self.token.encode()
            if not any(compare_digest(one.strip().encode(), wanted) for one in found):
                return ()
        return mail.headers

    def has_proved(self, mail: Mail, domain: str) -> bool:
        """Tell whether our MX has authenticated ``domain`` (RFC 8601 §2.2)."""
        for field in self.fields(mail):
            if field.name.lower() == "authentication-results":
                server, *results = _bare(field.value).split(";")
                is_ours = is_like(server.split()[:1], self.mx)
                if is_ours and any(_proves(result, domain) for result in results):
                    return True
        return False

    def _is_ours(self, field: HeaderField) -> bool:
        found = _BY.search(_bare(field.value))
        return (
            field.name.lower() == "received"
            and found is not None
            and found[1].lower().rstrip(".") in {name.lower() for name in self.mx}
        )


def is_like(texts: Iterable[str], patterns: Iterable[str]) -> bool:
    """Tell whether one of ``texts`` is like one of ``patterns``, in any case."""
    return any(
        fnmatchcase(text.lower(), pattern.lower())
        for text in texts
        for pattern in patterns
    )


def is_under(domain: str, parent: str) -> bool:
    """Tell whether ``domain`` is ``parent`` or below it."""
    return f".{domain.lower()}".endswith(f".{parent.lower()}")


def _fits(text: str, patterns: Names) -> bool:
    return not patterns or is_like([text], patterns)


@lru_cache(maxsize=4096)
def _is_in(peer: str, wanted: str) -> bool:
    if peer == wanted:
        return True
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
        return address in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _bare(value: str) -> str:
    """Return a field without comments and quoted strings."""
    # Nested comments lose one level a round; a mail can't ask for more rounds.
    for _ in range(10):
        value, changed = _FREE_TEXT.subn(" ", value)
        if not changed:
            break
    return value


def _proves(result: str, domain: str) -> bool:
    if _RESULT.match(result) is None:
        return False
    found = (text.rpartition("@")[2] for text in _PROOF.findall(result))
    return any(is_under(one.rstrip("."), domain) for one in found)
