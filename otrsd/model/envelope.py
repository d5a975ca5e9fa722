"""The envelope: how a mail reached us, apart from what stands in it (RFC 5321 §2.3.1).

Stored as JSON beside the content in the spool; :meth:`Envelope.to_json` and
:meth:`Envelope.from_json` are the only form, so that a spool outlives an upgrade.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Reverse-path, forward-paths and the circumstances of one mail."""

    #: Reverse-path without angle brackets; empty is the null reverse-path.
    mail_from: str = ""
    #: Forward-paths, in order.
    rcpt_tos: tuple[str, ...] = ()
    #: smtp, lmtp, pipe, socket, pop3, imap, http.
    channel: str = "pipe"
    #: Address of the client, or ``uid:1000`` for pipe and socket.
    peer: str = ""
    #: EHLO name as given.
    helo: str = ""
    #: When the last octet was here (UTC, aware).
    received_at: datetime
    #: Whether control header fields (X-Otrsd-*) count (reliability.md §3.3).
    trusted: bool = False
    #: Profile named by ``pipe --profile``; by imap and pop3 the account's name.
    profile: str = ""
    #: Queue of a mail that names none of ours; empty: the site's default.
    queue: str = ""

    @property
    def order_key(self) -> str:
        """Return the key within which mails keep their order (design.md §7)."""
        return self.mail_from.lower() or f"{self.channel}:{self.peer}"

    @property
    def is_from_null(self) -> bool:
        """Tell whether the reverse-path is the null one (RFC 5321 §4.5.5).

        Postfix gives it to a pipe as ``MAILER-DAEMON`` (pipe(8)). A pipe may not know
        who sent a mail; SMTP and LMTP always do.
        """
        told = self.channel in {"smtp", "lmtp"} and not self.mail_from
        return told or self.mail_from.upper() == "MAILER-DAEMON"

    def plain(self) -> dict[str, Any]:
        """Return the stored form as a JSON value."""
        value = {name: getattr(self, name) for name in Envelope.__slots__}
        value["received_at"] = self.received_at.isoformat()
        return value

    def to_json(self) -> str:
        """Return the stored form."""
        return json.dumps(self.plain(), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Envelope:
        """Read the stored form."""
        return Envelope.from_plain(json.loads(text))

    @staticmethod
    def from_plain(value: Mapping[str, Any]) -> Envelope:
        """Read it as a JSON value; members this program does not know are ignored."""
        known = {name: value[name] for name in Envelope.__slots__ if name in value}
        known["rcpt_tos"] = tuple(known.get("rcpt_tos", ()))
        known["received_at"] = datetime.fromisoformat(known["received_at"])
        return Envelope(**known)
