"""``otrsd ticket note|close|reopen|move|tag|priority|assign|merge``: change tickets.

Each ticket is changed in a transaction of its own, and only as it was when it was
looked up: a change by somebody else in between is refused (exit 6), never overwritten.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from otrsd.cli import ticket_names as names
from otrsd.cli.ask import DECLINED, MANY, SOME_FAILED, Asked, Asking, changing, do_each
from otrsd.cli.finding import ticket_named
from otrsd.cli.output import tell
from otrsd.cli.site import Site
from otrsd.cli.ticket_text import utf8, written
from otrsd.errors import InputError
from otrsd.mime.visible import visible
from otrsd.model.changes import Changes

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.model.ticket import Ticket

#: Stands for the caller, and for nobody, where a login is asked for.
ME, NOBODY = "me", "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tickets a command names, and how careful it is with them."""

    names: tuple[str, ...]
    version: int | None
    asked: Asked


def tickets_given(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command TICKET… and the options of a change, as ``wanted``."""

    @functools.wraps(command)
    def with_wanted(
        *args: Any, tickets: Sequence[str], version: int | None, **named: Any
    ) -> Any:
        asked = named.pop("asked")
        wanted = Wanted(names=tuple(tickets), version=version, asked=asked)
        return command(*args, wanted=wanted, **named)

    return click.argument("tickets", metavar="TICKET...", nargs=-1, required=True)(
        version_option(changing(with_wanted))
    )


def version_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--if-version``."""
    return click.option(
        "--if-version",
        "version",
        type=click.IntRange(min=1),
        help="Refuse if the ticket has another version by now.",
    )(command)


_MESSAGE = click.option("-m", "--message", metavar="TEXT", help="Text of a note.")


@click.command(cls=Asking)
@tickets_given
@click.option("-m", "--message", metavar="TEXT", help="The text; else stdin, editor.")
@click.pass_obj
def note(site: Site, *, wanted: Wanted, message: str | None) -> int:
    """Add an internal note; the customer never sees it."""
    with site.app() as app:
        # A name that is not there is told before anybody has written. The tickets are
        # looked up again afterwards: a note overwrites nothing.
        names.tickets_named(app, wanted.names, wanted.version)
        about = f"A note on {', '.join(wanted.names)}"
        with written(message, about, site.environ, keep=wanted.asked.dry_run) as text:
            return _each(site, app, wanted, "note on", lambda _: Changes(), text)


@click.command(cls=Asking)
@tickets_given
@click.option(
    "--state", default="closed successful", show_default=True, help="How it ended."
)
@_MESSAGE
@click.pass_obj
def close(site: Site, *, wanted: Wanted, state: str, message: str | None) -> int:
    """Close tickets."""
    named = names.state_named(state, closed=True)
    with site.app() as app:
        return _each(
            site, app, wanted, "close", lambda _: Changes(state=named), message
        )


@click.command(cls=Asking)
@tickets_given
@_MESSAGE
@click.pass_obj
def reopen(site: Site, *, wanted: Wanted, message: str | None) -> int:
    """Open closed tickets again; one that is active stays as it is."""

    def wish(ticket: Ticket) -> Changes:
        from otrsd.model.ticket import StateType

        if ticket.is_active:
            return Changes()
        if ticket.state_type is not StateType.CLOSED:
            raise InputError(f"ticket {ticket.number} is {ticket.state}, not closed")
        return Changes(state="open")

    with site.app() as app:
        return _each(site, app, wanted, "reopen", wish, message)


@click.command(cls=Asking)
@tickets_given
@click.argument("queue")
@_MESSAGE
@click.pass_obj
def move(site: Site, *, wanted: Wanted, queue: str, message: str | None) -> int:
    """Move tickets into QUEUE."""
    with site.app() as app:
        named = names.queue_named(app, queue)
        return _each(site, app, wanted, "move", lambda _: Changes(queue=named), message)


@click.command(cls=Asking)
@tickets_given
@click.argument("tag")
@click.option("--remove", is_flag=True, help="Take the tag away.")
@click.pass_obj
def tag(site: Site, *, wanted: Wanted, tag: str, remove: bool) -> int:
    """Give tickets a TAG, or take it away."""
    from otrsd.store.text import TAG

    word = utf8(tag, "the tag").strip()
    if not word or len(word) > TAG or visible(word) != word:
        raise InputError(f"a tag has 1 to {TAG} characters that can be seen")
    changes = Changes(untag=(word,)) if remove else Changes(tags=(word,))
    with site.app() as app:
        return _each(site, app, wanted, "tag", lambda _: changes)


@click.command(cls=Asking)
@tickets_given
@click.argument("priority")
@click.pass_obj
def priority(site: Site, *, wanted: Wanted, priority: str) -> int:
    """Give tickets a PRIORITY: 1 to 5, or very low, low, normal, high, very high."""
    number = names.priority_named(priority)
    with site.app() as app:
        change = Changes(priority=number)
        return _each(site, app, wanted, "set the priority of", lambda _: change)


@click.command(cls=Asking)
@tickets_given
@click.argument("login")
@_MESSAGE
@click.pass_obj
def assign(site: Site, *, wanted: Wanted, login: str, message: str | None) -> int:
    """Make LOGIN the owner of tickets: any login, "me", or "-" for nobody."""
    owner = login_of(site, login)
    with site.app() as app:
        wish = Changes(owner=owner)
        return _each(site, app, wanted, "assign", lambda _: wish, message)


@click.command(cls=Asking)
@tickets_given
@click.argument("main")
@click.pass_obj
def merge(site: Site, *, wanted: Wanted, main: str) -> int:
    """Merge tickets into MAIN: what comes for them goes on there."""
    from otrsd.desk import merging

    with site.app() as app:
        into = ticket_named(app, main)

        def deed(ticket: Ticket) -> str:
            with app.desk().unit() as unit:
                # Rows are locked in order: a worker may want both, too.
                ids = sorted({ticket.id, into.id})
                now = {each: unit.ticket(each) for each in ids}[into.id]
                if now is None:
                    raise InputError(f"ticket {into.number} is gone")
                merging.merge(unit, ticket, now, site.who)
            return f"{ticket.number}: merged into {into.number}"

        return _with_each(app, wanted, f"merge into {into.number}:", deed)


def login_of(site: Site, login: str) -> str:
    """Return the owner that is meant; InputError for what can't be a login."""
    from otrsd.store.text import NAME

    if login in {ME, NOBODY}:
        return site.caller if login == ME else ""
    name = utf8(login, "the login").strip()
    if not name or len(name) > NAME or visible(name) != name:
        raise InputError(f"a login has 1 to {NAME} characters that can be seen")
    return name


def _each(
    site: Site,
    app: App,
    wanted: Wanted,
    verb: str,
    wish: Callable[[Ticket], Changes],
    text: str | None = None,
) -> int:
    """Look tickets up, ask where there are many, change each; say what changed."""
    if text is not None and not text.strip():
        raise InputError("the text is empty: nothing was changed; leave out -m")
    return _with_each(
        app, wanted, verb, lambda ticket: _change(site, app, ticket, wish, text)
    )


def _with_each(
    app: App, wanted: Wanted, verb: str, change: Callable[[Ticket], str]
) -> int:
    found, missing = names.tickets_named(app, wanted.names, wanted.version)
    lines = [_line(ticket) for ticket in found]
    asked = wanted.asked
    wants_asking = asked.dry_run or asked.yes or len(found) > MANY
    if wants_asking and not asked.agrees(verb, lines):
        return 0 if asked.dry_run else DECLINED
    by_number = {ticket.number: ticket for ticket in found}

    def deed(number: str) -> str:
        return change(by_number[number])

    code = do_each(list(by_number), deed)
    for error in missing:
        tell(str(error))
    return SOME_FAILED if missing else code


def _change(
    site: Site,
    app: App,
    ticket: Ticket,
    wish: Callable[[Ticket], Changes],
    text: str | None,
) -> str:
    """Change one ticket as it was seen; return what to say of it."""
    from otrsd.desk import replies, tickets

    if ticket.merged_into is not None:
        raise InputError(
            f"ticket {ticket.number} is merged and changes no more. "
            f"Try: otrsd ticket show {ticket.number}"
        )
    changes = wish(ticket)
    told = _differences(ticket, changes)
    if not told and text is None:
        return f"{ticket.number}: nothing to do"
    with app.desk().unit() as unit:
        now = ticket
        if text is not None:
            now = replies.note(unit, now, utf8(text, "the text"), site.who)
        if told:
            now = tickets.change(unit, now, changes, site.who)
    return f"{ticket.number}: {', '.join([*told, *(['note'] if text else [])])}"


def _differences(ticket: Ticket, changes: Changes) -> list[str]:
    """Return each difference that a change makes, in words."""
    found = []
    for name in ("queue", "state", "priority", "owner"):
        old, new = getattr(ticket, name), getattr(changes, name)
        if new is not None and new != old:
            found.append(f"{name} {old or 'nobody'} -> {new or 'nobody'}")
    return [
        *found,
        *(f"tag +{each}" for each in changes.tags if each not in ticket.tags),
        *(f"tag -{each}" for each in changes.untag if each in ticket.tags),
    ]


def _line(ticket: Ticket) -> str:
    return f"{ticket.number}  {ticket.queue}  {ticket.state}  {ticket.title!r}"


COMMANDS = (note, close, reopen, move, tag, priority, assign, merge)
