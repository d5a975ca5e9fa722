"""What the postmaster works with, and what passes from one station to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from otrsd.counters import Counters
from otrsd.desk.letterhead import Letterhead
from otrsd.desk.unit import Desk
from otrsd.hooks import Hooks
from otrsd.language.rules import Rules
from otrsd.mime.automatic import Recognised
from otrsd.model.auth import Auth
from otrsd.model.mail import Address, Mail
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

    def is_agent(self, address: str) -> bool:
        """Tell whether somebody who works here writes from this address."""
        ...


class Policy(StrEnum):
    """What becomes of a mail to a closed ticket (features.md C7)."""

    POSSIBLE = "possible"
    REJECT = "reject"
    NEW_TICKET = "new_ticket"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What one queue does with mail to its closed tickets."""

    policy: Policy = Policy.POSSIBLE
    #: So long after closing it is possible; then it makes a new ticket.
    within: timedelta | None = None


class Standing(StrEnum):
    """What is proved of the domain in From; nothing, unless somebody has checked."""

    UNKNOWN = "unknown"
    #: DMARC passed, or an aligned DKIM signature, or S/MIME or PGP of that address.
    PROVED = "proved"
    #: DMARC failed, and the domain asks to reject or to quarantine such mail.
    DENIED = "denied"


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
    #: Queue → what it does with mail to closed tickets; a queue that is gone takes it.
    follow_ups: Mapping[str, FollowUp] = field(default_factory=dict)
    #: Queue → ``hold`` or ``discard`` for senders who never had a ticket.
    unknown_senders: Mapping[str, str] = field(default_factory=dict)
    #: Whether a mail to several queues makes a ticket in each.
    one_ticket_per_queue: bool = False
    #: The configuration's name in traces, and its files.
    snapshot: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    #: What this process counts.
    counters: Counters = field(default_factory=Counters)


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
    #: Whether the domain in From owns the mail.
    standing: Standing = Standing.UNKNOWN
    #: Which part of the mail this is, and for which queue; see ``split``.
    part: int = 0
    into: str = ""
    #: What it and the other parts are known by in a batch; empty: by the dedup key.
    key: str = ""
    siblings: tuple[str, ...] = ()
    #: Who wrote what an agent has forwarded.
    original: Address | None = None
    #: What of the text is no reply, as the article keeps it.
    passages: Sequence[Sequence[int | str]] = ()
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
    #: Of a report: the article that it is about, and which of its addresses are dead.
    about: int | None = None
    bounced: tuple[str, ...] = ()
    #: The closed ticket that this mail's new one continues.
    continues: Ticket | None = None
    #: Why the mail changes nothing but adds itself; empty: it may.
    inert: str = ""
    #: The ticket's queue takes no mail to closed tickets: it is answered so.
    is_rejected: bool = False
    #: The sender takes part, but his domain disowns the mail.
    is_unverified: bool = False
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
