"""Searching as commands do it: a query's text in, a page of tickets out.

Errors, never guesses: a query without meaning ends with the place in it; words that
can't be looked for now end with exit 75, not with an empty list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from otrsd.cli.output import counted, print_json, print_table, span, tell
from otrsd.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.desk.search import Found
    from otrsd.language.tree import Tree
    from otrsd.model.ticket import Ticket
    from otrsd.search.backend import Condition

#: From this on a person is told that the index is behind (ux.md §3).
LAG_TOLD = 5.0
HEADING = ("number", "queue", "state", "prio", "customer", "title", "changed")
#: A query may begin a word with a minus, as in ``-tag:spam``.
QUERY_SETTINGS = {"ignore_unknown_options": True}


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that lists tickets."""
    options = (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON array."),
        click.option(
            "-n",
            "--limit",
            type=click.IntRange(min=1),
            default=50,
            show_default=True,
            help="At most so many tickets.",
        ),
        click.option(
            "--after",
            metavar="NUMBER",
            help="Go on behind this ticket, the last of the page before.",
        ),
        click.option(
            "--sort",
            type=click.Choice(["newest", "updated"]),
            default="newest",
            show_default=True,
            help="Newest ticket first, or the one changed last.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def understood(app: App, text: str, me: str) -> Tree:
    """Return the meaning of a query; InputError shows the place of a mistake."""
    from otrsd.language.query import QueryError, parse_query
    from otrsd.store import conditions

    with app.database.read() as connection:
        queues = {*app.config.queues, *conditions.queues_in_use(connection)}
    try:
        query = parse_query(
            text,
            queues=queues,
            now=app.clock.now(),
            timezone=zone_of(app),
            me=me,
        )
    except QueryError as error:
        caret = " " * (error.column - 1) + "^"
        raise InputError(f"in the search: {error}\n  {text}\n  {caret}") from error
    return query.tree


def find_page(
    app: App, tree: Tree, *, limit: int, after: str | None, sort: str
) -> Found:
    """Return a page of tickets; IndexAwayError where words can't be looked for."""
    from otrsd.desk.search import Order, find_tickets
    from otrsd.search.backend import IndexAwayError

    found = find_tickets(
        app.database,
        app.index,
        tree,
        clock=app.clock,
        limit=limit,
        after=ticket_named(app, after).id if after else 0,
        order=Order(sort),
    )
    if not found.index.usable:
        raise IndexAwayError(why_not_usable(found.index))
    return found


def print_page(app: App, found: Found, *, as_json: bool) -> None:
    """Print tickets; what else there is to know goes to stderr."""
    if as_json:
        print_json(found.tickets)
    else:
        rows = [
            (t.number, t.queue, t.state, t.priority, t.customer, t.title, t.changed_at)
            for t in found.tickets
        ]
        print_table(HEADING, rows, zone_of(app))
    for note in found.notes:
        tell(note)
    if found.next:
        last = found.tickets[-1].number
        tell(f"there are more; the next ones: --after {last}, or a greater -n")


def tell_of_lag(app: App, tree: Tree) -> None:
    """Say where the index does not know the newest articles yet."""
    from otrsd.search.query import has_words
    from otrsd.store import index_todo

    if not has_words(tree):
        return
    with app.database.read() as connection:
        lag = index_todo.lag(connection)
    behind = (app.clock.now() - lag.oldest).total_seconds() if lag.oldest else 0.0
    if behind > LAG_TOLD:
        articles = counted(lag.count, "article")
        tell(f"the index is {span(behind)} behind: the words of {articles} are missing")
    if app.index.being_rebuilt():
        tell("the index is being rebuilt; this answer is from the old one")


def why_not_usable(condition: Condition) -> str:
    """Return why words can't be searched for now, and what to do."""
    from otrsd.search.backend import State

    if condition.state is State.REBUILDING:
        progress = f" ({condition.done:,} of {condition.total:,} articles)"
        return f"the index is being rebuilt{progress}: words can't be searched for yet"
    reason = f": {condition.reason}" if condition.reason else ""
    return (
        f"the index is {condition.state}{reason}. The daemon rebuilds it by itself; "
        "without a daemon try: otrsd reindex"
    )


def ticket_named(app: App, name: str) -> Ticket:
    """Return the ticket with this number, ``#id``, or Message-ID of an article."""
    from otrsd.store import articles, tickets

    bare = name.removeprefix("#").strip() if is_storable(name) else ""
    with app.database.read() as connection:
        found = tickets.by_number(connection, bare) if bare else None
        if found is None and name.startswith("#") and is_id(bare):
            found = tickets.by_id(connection, int(bare))
        if found is None and "@" in bare:
            message_id = bare if bare.startswith("<") else f"<{bare}>"
            known = articles.by_message_ids(connection, [message_id])
            found = tickets.by_id(connection, known[0].ticket_id) if known else None
    if found is None:
        raise NotFoundError(
            f"there is no ticket {name!r}: neither a number nor the Message-ID of a "
            "mail in a ticket. Try: otrsd ticket list"
        )
    return found


def is_storable(text: str) -> bool:
    """Tell whether a database can be asked for ``text`` at all."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def is_id(text: str) -> bool:
    """Tell whether ``text`` can be a row's id (a signed 64-bit number)."""
    return text.isascii() and text.isdigit() and len(text) <= 18  # noqa: PLR2004


def zone_of(app: App) -> ZoneInfo:
    """Return the time zone in which the site's times are printed."""
    return ZoneInfo(app.config.site.timezone)
