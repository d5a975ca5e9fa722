"""Names that a person types: tickets, queues, states, priorities, addresses.

Each function returns what is meant, or raises NotFoundError or InputError that says
what was meant, perhaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from otrsd.cli.finding import ticket_named
from otrsd.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.model.mail import Address
    from otrsd.model.ticket import Ticket


def tickets_named(
    app: App, names: Sequence[str], version: int | None
) -> tuple[list[Ticket], list[NotFoundError]]:
    """Return the tickets, and an error for each that is not there.

    ``version``: the only ticket is refused unless it is this one.
    """
    found: dict[int, Ticket] = {}
    missing: list[NotFoundError] = []
    for name in dict.fromkeys(names):
        try:
            ticket = ticket_named(app, name)
        except NotFoundError as error:
            missing.append(error)
        else:
            found[ticket.id] = ticket
    if not found:
        raise missing[0]
    if version is not None:
        if len(found) + len(missing) > 1:
            raise InputError("--if-version is for one ticket at a time")
        as_seen(next(iter(found.values())), version)
    return list(found.values()), missing


def as_seen(ticket: Ticket, version: int | None) -> None:
    """Raise ConflictError if the ticket is no longer the one that was looked at."""
    from otrsd.errors import ConflictError

    if version is not None and version != ticket.version:
        raise ConflictError(
            f"ticket {ticket.number} was changed by somebody else meanwhile: it has "
            f"version {ticket.version}, not {version}. "
            f"Try: otrsd ticket show {ticket.number}"
        )


def queue_named(app: App, name: str) -> str:
    """Return a queue of the configuration."""
    return _one("queue", name, app.config.queues)


def state_named(name: str, *, closed: bool = False) -> str:
    """Return a state that a person may give; ``closed``: only those that close."""
    from otrsd.model.ticket import STATES, StateType

    by_itself = {StateType.REMOVED, StateType.MERGED}
    given = {
        state
        for state, state_type in STATES.items()
        if state_type not in by_itself
        and (not closed or state_type is StateType.CLOSED)
    }
    # "successful" is short for "closed successful".
    short = f"closed {name}"
    return short if short in given else _one("state", name, sorted(given))


def priority_named(name: str) -> int:
    """Return a priority by its number or name."""
    from otrsd.model.ticket import PRIORITIES

    numbers = {text: number for number, text in PRIORITIES.items()}
    if name.isascii() and name.isdigit() and int(name[:4]) in PRIORITIES:
        return int(name)
    return numbers[_one("priority", name, numbers)]


def addresses_named(texts: Iterable[str]) -> tuple[Address, ...]:
    """Return mailboxes written as ``kim@example.com`` or ``Kim <kim@example.com>``."""
    from otrsd.mime.address import parse_addresses

    found: list[Address] = []
    for text in texts:
        read = parse_addresses(text)
        if read.defects or not read.addresses:
            why = f" ({read.defects[0]})" if read.defects else ""
            raise InputError(
                f"{text!r} is no address that mail can go to{why}. "
                "Write: kim@example.com or 'Kim <kim@example.com>'"
            )
        found += read.addresses
    return tuple(dict.fromkeys(found))


def _one(what: str, name: str, known: Iterable[str]) -> str:
    from otrsd.config.problem import did_you_mean

    names = list(known)
    if name in names:
        return name
    hint = did_you_mean(name, names) or f"known: {', '.join(names)}"
    raise NotFoundError(f"there is no {what} {name!r}; {hint}")
