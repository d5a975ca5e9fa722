"""What every mail of ours carries: who it is from, its domain, its templates.

Made once by the composition root from the configuration, never changed; no database
and no network is behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otrsd.desk.tokens import Tokens
from otrsd.language.letters import Letters
from otrsd.mime.compose import SUBJECT_LIMIT
from otrsd.model.mail import Address
from otrsd.model.ticket import PRIORITIES, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLetters:
    """How one queue writes."""

    #: Empty: the one of the queue above it counts.
    address: str = ""
    #: Names of templates; empty: none.
    auto_response: str = ""
    auto_reject: str = ""
    signature: str = ""
    #: Empty: the site's.
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """How a site writes."""

    name: str
    url: str = ""
    #: The subject tag is ``[<hook>NUMBER]``.
    hook: str
    language: str
    #: Behind the ``@`` of our Message-IDs.
    host: str
    tokens: Tokens
    queues: Mapping[str, QueueLetters]
    #: From of mails that no queue sends.
    address: str = ""
    #: Who is told of held mail; empty: nobody.
    admin: str = ""
    #: ``+`` where reply addresses carry a token.
    delimiter: str = ""
    letters: Letters
    #: Whether an address is one of our queues'.
    is_ours: Callable[[str], bool]

    def of_queue(self, queue: str) -> QueueLetters:
        """Return how a queue writes; one that is gone writes as the site does."""
        return self.queues.get(queue, QueueLetters())

    def sender(self, queue: str) -> Address | None:
        """Return who writes for a queue: its own address, or one above it."""
        parts = queue.split("::")
        names = ["::".join(parts[:end]) for end in range(len(parts), 0, -1)]
        found = (self.of_queue(name).address for name in names)
        address = next(filter(None, found), self.address)
        return Address(name=self.name, address=address) if address else None

    def language_of(self, queue: str) -> str:
        """Return the language in which a queue writes."""
        return self.of_queue(queue).language or self.language

    def subject(self, number: str, text: str) -> str:
        """Return a subject with the ticket's tag, at most 200 characters."""
        return f"[{self.hook}{number}] {text}"[:SUBJECT_LIMIT].rstrip()

    def reply_to(self, sender: Address, number: str) -> Address | None:
        """Return the address with the token; ``None`` where none is wanted."""
        if not self.delimiter:
            return None
        written = self.tokens.reply_address(sender.address, self.delimiter, number)
        return Address(name=self.name, address=written)

    def values(
        self, ticket: Ticket, customer: Address | None, login: str = ""
    ) -> Mapping[str, object]:
        """Return what a template may use (``otrsd.language.letters.NAMES``)."""
        known = customer or Address(address=ticket.customer)
        return {
            "ticket": {
                "number": ticket.number,
                "title": ticket.title,
                "queue": ticket.queue,
                "state": ticket.state,
                "priority": PRIORITIES[ticket.priority],
                "owner": ticket.owner,
                "tags": ticket.tags,
            },
            "customer": {"address": known.address, "name": known.name},
            "site": self.site(),
            "agent": {"login": login},
            "fields": dict(ticket.fields),
        }

    def site(self) -> Mapping[str, str]:
        """Return what a template may use of the site."""
        return {"name": self.name, "url": self.url, "ticket_hook": self.hook}
