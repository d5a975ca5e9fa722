"""One entry of a ticket: a mail in or out, a note, a phone call, a system line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ArticleKind(StrEnum):
    """How the entry came to be."""

    MAIL_IN = "mail_in"
    MAIL_OUT = "mail_out"
    NOTE = "note"
    PHONE = "phone"
    SYSTEM = "system"


class SenderType(StrEnum):
    """Who wrote it (OTRS sender types)."""

    CUSTOMER = "customer"
    AGENT = "agent"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One entry of a ticket, as stored; never changed afterwards."""

    id: int
    ticket_id: int
    kind: ArticleKind
    sender_type: SenderType
    visible_to_customer: bool
    created_at: datetime
    from_text: str = ""
    to_text: str = ""
    cc_text: str = ""
    subject: str = ""
    #: Readable text, capped; the whole stands in the content.
    text: str = ""
    message_id: str = ""
    #: sha256 of the content; empty for notes.
    content_sha256: str = ""
    spool_id: str = ""
