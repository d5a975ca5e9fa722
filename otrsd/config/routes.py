"""Which address belongs to which queue.

Domains and local parts are compared without regard to case; ``+extension`` of a
queue's address is that queue's, also behind ``site.recipient_delimiter``. An address
is only ever compared: it never becomes part of a path, a command or a statement.
"""

from __future__ import annotations

from contextlib import suppress

from otrsd.config.models import Config


class Routes:
    """The addresses of one configuration."""

    def __init__(self, config: Config) -> None:
        self.default_queue = config.site.default_queue
        self.catch_all = config.site.catch_all
        self._agents = frozenset(config.site.agents)
        self._delimiters = {"+", config.site.recipient_delimiter} - {""}
        self._queues = {
            split(address): name
            for name, queue in config.queues.items()
            for address in queue.address
        }
        #: The domains that are ours, in lower case.
        self.domains = frozenset(domain for _, domain in self._queues if domain)

    def queue_of(self, address: str) -> str | None:
        """Return the queue whose own address this is."""
        local, domain = split(address)
        queue = self._queues.get((local, domain))
        for end, character in enumerate(local):
            if queue is None and character in self._delimiters:
                queue = self._queues.get((local[:end], domain))
        return queue

    def is_agent(self, address: str) -> bool:
        """Tell whether somebody who works here writes from this very address."""
        return address in self._agents

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return all queue addresses, as they are compared."""
        return tuple(f"{local}@{domain}" for local, domain in self._queues)


def split(address: str) -> tuple[str, str]:
    """Return local part and domain in the form in which they are compared."""
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = address, ""
    domain = domain.lower().rstrip(".")
    if not domain.isascii():
        with suppress(UnicodeError):
            domain = domain.encode("idna").decode("ascii")
    return local.lower(), domain
