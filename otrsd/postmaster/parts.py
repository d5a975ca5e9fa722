"""What the postmaster works with, and what passes from one station to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from otrsd.desk.letterhead import Letterhead
from otrsd.desk.unit import Desk
from otrsd.hooks import Hooks
from otrsd.language.rules import Rules
from otrsd.mime.automatic import Recognised
from otrsd.model.auth import Auth
from otrsd.model.mail import Mail
from otrsd.model.seal import Seal
from otrsd.model.ticket import Ticket
from otrsd.model.verdict import Disposition, Verdict
from otrsd.postmaster.senders import Senders
from otrsd.postmaster.trace import Trace
from otrsd.postmaster.unseal import Unsealer
from otrsd.spool import Claimed


class Routes(Protocol):
    """Which address belongs to which queue."""

    @property
    def default_queue(self) -> str:
        """Return the queue for mail that names none."""
        ...

    def queue_of(self, address: str) -> str | None:
        """Return the queue whose address this is (``+extension`` allowed)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmaster:
    """The parts of one worker; made by the composition root, never changed."""

    desk: Desk
    hooks: Hooks
    rules: Rules
    routes: Routes
    #: Names of all queues, in the order of the configuration.
    queues: Sequence[str]
    #: The subject tag is ``[<hook>NUMBER]``.
    ticket_hook: str
    #: How long a copy of a mail counts as one (reliability.md §5).
    dedup_window: timedelta = timedelta(days=7)
    trash_keep: timedelta = timedelta(days=30)
    #: How this site writes; ``None``: it never does, and knows no token of its own.
    letterhead: Letterhead | None = None
    #: Whose word counts about a mail's sender.
    senders: Senders = Senders()  # noqa: RUF009 - a frozen value
    #: Opens what S/MIME and PGP have sealed.
    unsealer: Unsealer = Unsealer()  # noqa: RUF009 - keeps nothing
    #: The configuration's name in traces, and its files.
    snapshot: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """A mail that was parsed and judged, on its way to the desk."""

    claimed: Claimed
    mail: Mail
    #: The folded verdict, and whose it is (``plugin:spam``, ``otrsd``).
    verdict: Verdict
    cause: str = "otrsd"
    tags: tuple[str, ...] = ()
    #: Whether a person wrote it.
    recognised: Recognised = Recognised()  # noqa: RUF009 - a frozen value
    #: Plugins left out of this journey, and ``rule:NAME`` after a restore.
    skip: frozenset[str] = frozenset()
    #: Those of them that are left out because they fail.
    lacking: frozenset[str] = frozenset()
    #: ``screen_mail`` plugins that gave no verdict, with the reason.
    unscreened: Mapping[str, str] = field(default_factory=dict)
    trace: Trace

    @property
    def auth(self) -> Auth:
        """Return what is proved about the sender."""
        return self.mail.auth

    @property
    def seal(self) -> Seal:
        """Return what S/MIME or PGP say of it."""
        return self.mail.seal

    def facts(self) -> dict[str, Any]:
        """Return what the checks found, as the article keeps it; mostly nothing."""
        found = {"auth": self.mail.auth.plain(), "seal": self.mail.seal.plain()}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the desk already knows of a mail."""

    #: The ticket it joins; ``None``: a new one.
    ticket: Ticket | None = None
    #: ``follow-up`` or a plugin's name.
    by: str = ""
    #: A ticket that a stranger quotes: linked, not joined.
    quoted: Ticket | None = None
    #: It carries our token, but its sender took no part in the ticket so far.
    is_stranger: bool = False
    #: The address that a report about a mail of ours says is out of reach.
    bounced: str = ""
    #: The earlier, cut-off copy of this mail that stands in ``ticket``.
    completes: bool = False


class Fate(StrEnum):
    """What became of a mail."""

    ARTICLE = "article"
    TRASH = "trash"
    DUPLICATE = "duplicate"
    HELD = "held"
    #: It was delivered before: a crash came between the desk and the spool.
    SEEN = "seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one mail, and where."""

    spool_id: str
    fate: Fate
    #: Why it is held or discarded.
    reason: str = ""
    ticket_id: int | None = None
    #: Whether a ticket was made (else the mail joined one).
    is_new: bool = False
    article_id: int | None = None
    queue: str = ""
    #: Plugin → failure, of this journey.
    failures: Mapping[str, str] = field(default_factory=dict)
    #: Plugins that answered.
    answered: tuple[str, ...] = ()


#: What a verdict that was never given is worth: the mail passes.
ACCEPTED = Verdict(disposition=Disposition.ACCEPT)
