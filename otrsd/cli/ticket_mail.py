"""``otrsd ticket new|reply``: write to a customer.

The mail is owed to the outbox in the ticket's own transaction; the relay sends it.
``--dry-run`` does all of it, shows the mail, and rolls it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from otrsd.cli import ticket_names as names
from otrsd.cli.finding import ticket_named
from otrsd.cli.output import print_facts, say, tell
from otrsd.cli.site import Site
from otrsd.cli.spool_out import UNSENT
from otrsd.cli.ticket_change import login_of, version_option
from otrsd.cli.ticket_text import utf8, written
from otrsd.errors import InputError
from otrsd.model.article import ArticleKind
from otrsd.model.changes import Changes

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.desk.unit import Unit
    from otrsd.model.article import Article
    from otrsd.model.ticket import Ticket

#: Characters of the customer's last mail that the editor shows.
_SHOWN = 20_000
_message = click.option(
    "-m", "--message", metavar="TEXT", help="The text; else stdin, else $EDITOR."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Show the mail, send nothing.")
_cc = click.option("--cc", multiple=True, metavar="ADDRESS", help="Who gets a copy.")


class _UndoneError(Exception):
    """Ends a transaction that was only tried."""


@click.command()
@click.argument("number", metavar="TICKET")
@_message
@click.option(
    "--to", multiple=True, metavar="ADDRESS", help="Instead of the customer; repeat it."
)
@_cc
@click.option("--subject", default="", help="Instead of Re: and the ticket's title.")
@click.option("--state", help="The ticket's state afterwards.")
@version_option
@_dry_run
@click.pass_obj
def reply(  # noqa: PLR0913 - the options of a mail
    site: Site,
    number: str,
    *,
    message: str | None,
    to: Sequence[str],
    cc: Sequence[str],
    subject: str,
    state: str | None,
    version: int | None,
    dry_run: bool,
) -> None:
    """Answer the customer: it goes where his last mail wants it (Reply-To, From)."""
    from otrsd.desk import replies, tickets

    after = names.state_named(state) if state else None
    recipients, copies = names.addresses_named(to), names.addresses_named(cc)
    title = utf8(subject, "the subject")
    with site.app() as app:
        seen = ticket_named(app, number)
        names.as_seen(seen, version)
        with written(message, _thread(app, seen), site.environ, keep=dry_run) as text:
            answer = replies.Answer(text=text, to=recipients, cc=copies, subject=title)
            with _transaction(app) as unit:
                now = replies.reply(unit, app.letterhead(), seen, answer, site.who)
                if after and after != now.state:
                    tickets.change(unit, now, Changes(state=after), site.who)
                if dry_run:
                    _show_and_undo(unit, seen.id)
        if not dry_run:
            say(f"{seen.number}: answered {_answered(app, seen)}")
            _tell_of_send(app)


@click.command()
@click.option("--subject", required=True, help="The ticket's title.")
@_message
@click.option("--to", metavar="ADDRESS", help="The customer; without one: a note.")
@click.option("--no-mail", is_flag=True, help="A note about the customer, no mail.")
@click.option("--queue", help="Else the site's default queue.")
@click.option("--state", help="Else open.")
@click.option("--priority", help="1 to 5, or its name; else 3, normal.")
@click.option("--tag", multiple=True, help="A tag; repeat it.")
@click.option("--owner", help='A login, or "me"; else nobody.')
@_dry_run
@click.pass_obj
def new(  # noqa: PLR0913 - the options of a ticket
    site: Site,
    *,
    subject: str,
    message: str | None,
    to: str | None,
    no_mail: bool,
    queue: str | None,
    state: str | None,
    priority: str | None,
    tag: Sequence[str],
    owner: str | None,
    dry_run: bool,
) -> None:
    """Open a ticket and print its number; --to is written to."""
    from otrsd.desk import replies

    title = utf8(subject, "the subject").strip()
    if not title:
        raise InputError("the subject is empty: a ticket needs a title")
    customers = names.addresses_named([to] if to else [])
    if len(customers) > 1:
        raise InputError("a ticket has one customer; write to others with reply --cc")
    values = Changes(
        state=names.state_named(state) if state else None,
        priority=names.priority_named(priority) if priority else None,
        owner=login_of(site, owner) if owner else None,
        tags=tuple(utf8(each, "the tag") for each in tag),
    )
    with site.app() as app:
        named = names.queue_named(app, queue or app.routes.default_queue)
        about = f"A ticket in {named}: {title}" + (f"\nTo: {to}" if to else "")
        with written(message, about, site.environ, keep=dry_run) as text:
            opening = replies.Opening(
                queue=named,
                title=title,
                text=text,
                customer=customers[0] if customers else None,
                is_mail=not no_mail,
                values=values,
            )
            with _transaction(app) as unit:
                head = app.letterhead()
                ticket, _ = replies.open_ticket(unit, head, opening, site.who)
                if dry_run:
                    _show_and_undo(unit, ticket.id)
        if dry_run:
            return
        say(unit.numbers[ticket.id])
        if customers and not no_mail:
            _tell_of_send(app)


@contextmanager
def _transaction(app: App) -> Iterator[Unit]:
    """Give a Unit; one that was only tried ends here, with nothing written."""
    try:
        with app.desk().unit() as unit:
            yield unit
    except _UndoneError:
        tell("dry run: nothing was changed, nothing is sent")


def _show_and_undo(unit: Unit, ticket_id: int) -> None:
    """Show what would be written to the customer, or noted; then roll it back."""
    from otrsd.mime.parse import parse
    from otrsd.store import articles, content

    unit.seal()
    last = articles.of_ticket(unit.connection, ticket_id)[-1]
    if last.kind is ArticleKind.MAIL_OUT:
        mail = parse(content.read(unit.connection, last.content_sha256))
        facts = (
            ("from", mail.from_text),
            ("to", last.to_text),
            ("cc", last.cc_text),
            ("reply-to", mail.header("reply-to") or ""),
            ("subject", mail.subject),
            ("in-reply-to", mail.header("in-reply-to") or ""),
            ("references", mail.header("references") or ""),
        )
        print_facts(facts)
        click.echo()
    say(last.text.rstrip("\n"))
    raise _UndoneError


def _answered(app: App, ticket: Ticket) -> str:
    """Return who gets the answer that was just written."""
    last = _articles(app, ticket, ArticleKind.MAIL_OUT)[-1]
    return ", ".join(filter(None, (last.to_text, last.cc_text)))


def _thread(app: App, ticket: Ticket) -> str:
    """Return what the editor shows below the answer: the customer's last mail."""
    lines = [f"Ticket {ticket.number}: {ticket.title}"]
    for mail in _articles(app, ticket, ArticleKind.MAIL_IN)[-1:]:
        lines += [f"From: {mail.from_text}", "", mail.text[:_SHOWN]]
    return "\n".join(lines)


def _articles(app: App, ticket: Ticket, kind: ArticleKind) -> list[Article]:
    from otrsd.desk import merging
    from otrsd.store import articles

    with app.database.read() as connection:
        ids = merging.all_of(connection, ticket)
        found = articles.of_ticket(connection, *ids)
    return [article for article in found if article.kind is kind]


def _tell_of_send(app: App) -> None:
    """Say it where nobody takes our mail."""
    if app.config.send is None:
        tell(f"the mail waits: {UNSENT}. Try: otrsd spool list --out")


COMMANDS = (new, reply)
