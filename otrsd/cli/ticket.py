"""``otrsd ticket``: list, show, and the history of a ticket.

What writes to customers is in :mod:`otrsd.cli.ticket_mail`, what changes tickets in
:mod:`otrsd.cli.ticket_change`; both are verbs of this group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from otrsd.cli import finding, ticket_change, ticket_mail
from otrsd.cli.folding import folded
from otrsd.cli.output import (
    moment,
    octets_text,
    print_facts,
    print_json,
    print_octets,
    print_table,
    say,
)
from otrsd.cli.site import Site
from otrsd.errors import NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.model.article import Article
    from otrsd.model.ticket import Ticket
    from otrsd.store.history import HistoryRow


@click.group()
def ticket() -> None:
    """Look at tickets, answer them, change them.

    A ticket is named by its number, by #ID, or by the Message-ID of one of its mails.
    """


for _command in (*ticket_mail.COMMANDS, *ticket_change.COMMANDS):
    ticket.add_command(_command)


@ticket.command("list", context_settings=finding.QUERY_SETTINGS)
@click.argument("query", nargs=-1)
@finding.page_options
@click.pass_obj
def list_(
    site: Site,
    query: Sequence[str],
    *,
    as_json: bool,
    limit: int,
    after: str | None,
    sort: str,
) -> None:
    """List tickets, the newest first; all of them, or those that match QUERY.

    The query is that of `otrsd search`, such as: queue:support is:open -tag:spam
    """
    with site.app() as app:
        tree = finding.understood(app, " ".join(query), site.caller)
        found = finding.find_page(app, tree, limit=limit, after=after, sort=sort)
        finding.print_page(app, found, as_json=as_json)
        finding.tell_of_lag(app, tree)


@ticket.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--full", is_flag=True, help="Print what is quoted, too.")
@click.option(
    "--raw",
    type=click.IntRange(min=1),
    metavar="ARTICLE",
    help="Print the mail of this article, octet by octet.",
)
@click.pass_obj
def show(
    site: Site, number: str, *, as_json: bool, full: bool, raw: int | None
) -> None:
    """Show a ticket with its articles, attachments and links."""
    with site.app() as app:
        found = finding.ticket_named(app, number)
        if raw is not None:
            print_octets(_mail_of(app, found, raw))
            return
        value = _whole(app, found)
        if as_json:
            print_json(value)
        else:
            _print_ticket(found, value, finding.zone_of(app), full=full)


@ticket.command()
@click.argument("number")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def history(site: Site, number: str, *, as_json: bool) -> None:
    """Show every change of a ticket: when, what, who, because of whom."""
    from otrsd.store import history as changes

    with site.app() as app:
        found = finding.ticket_named(app, number)
        with app.database.read() as connection:
            rows = changes.of_ticket(connection, found.id)
        if as_json:
            print_json(rows)
            return
        heading = ("seq", "at", "type", "actor", "cause", "what")
        table = [(r.seq, r.at, r.type, r.actor, r.cause, _told(r)) for r in rows]
        print_table(heading, table, finding.zone_of(app))


def _mail_of(app: App, found: Ticket, n: int) -> bytes:
    """Return the octets of the n-th article's mail."""
    from otrsd.desk import merging
    from otrsd.store import articles, content

    with app.database.read() as connection:
        ids = merging.all_of(connection, found)
        all_of_it = articles.of_ticket(connection, *ids)
        if n > len(all_of_it):
            raise NotFoundError(
                f"ticket {found.number} has no article {n}, only {len(all_of_it)}. "
                f"Try: otrsd ticket show {found.number}"
            )
        sha256 = all_of_it[n - 1].content_sha256
        if not sha256:
            raise NotFoundError(
                f"article {n} of ticket {found.number} was no mail. "
                f"Try: otrsd ticket show {found.number}"
            )
        return content.read(connection, sha256)


def _whole(app: App, found: Ticket) -> dict[str, Any]:
    """Return all that is shown of a ticket, as ``--json`` prints it."""
    from otrsd.desk import merging
    from otrsd.store import articles, part_text, tickets

    with app.database.read() as connection:
        ids = merging.all_of(connection, found)
        all_of_it = articles.of_ticket(connection, *ids)
        words = part_text.of_tickets(connection, ids)
        mails = articles.mails_of_ticket(connection, *ids)
        links = [
            {"number": other.number, "title": other.title, "kind": kind}
            for other_id, kind in tickets.links(connection, found.id)
            if (other := tickets.by_id(connection, other_id)) is not None
        ]
        people = tickets.participants(connection, found.id)
        written = {each.id: each.number for each in tickets.by_ids(connection, ids)}
    delivery = _deliveries(mails)
    return {
        **asdict(found),
        "participants": people,
        "links": links,
        "articles": [
            {
                **_article(n, each, written[each.ticket_id], mails.get(each.id, {})),
                "attachments": _attachments(each.id, mails.get(each.id, {}), words),
                "delivery": delivery.get(each.id, []),
            }
            for n, each in enumerate(all_of_it, start=1)
        ],
    }


def _attachments(
    article_id: int,
    mail: Mapping[str, Any],
    words: Mapping[tuple[int, str], tuple[int, str]],
) -> list[dict[str, Any]]:
    attachments = []
    for part in mail.get("parts", []):
        characters, reason = words.get((article_id, part["path"]), (0, ""))
        attachments.append({**part, "characters": characters, "unread": reason})
    return attachments


def _deliveries(mails: Mapping[int, Mapping[str, Any]]) -> dict[int, list[str]]:
    """Return what reports tell, by the article that they are, and are about."""
    from otrsd.model.report import Report

    told: dict[int, list[str]] = {}
    for article_id, mail in mails.items():
        value = mail.get("report")
        if not value:
            continue
        news = [each.news for each in Report.from_plain(value).recipients]
        for place in {article_id, value.get("about") or article_id}:
            told.setdefault(place, []).extend(news)
    return told


def _article(
    n: int, article: Article, number: str, mail: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "n": n,
        # Of the ticket it was written to; another one where tickets were merged.
        "number": number,
        **asdict(article),
        "defects": mail.get("defects", []),
        "auth": mail.get("auth", {}),
        "seal": mail.get("seal", {}),
        "passages": [
            {"start": start, "end": end, "kind": kind}
            for start, end, kind in mail.get("passages", [])
        ],
    }


def _print_ticket(
    found: Ticket, value: Mapping[str, Any], zone: ZoneInfo, *, full: bool
) -> None:
    from otrsd.model.ticket import PRIORITIES

    facts = (
        ("ticket", found.number),
        ("title", found.title),
        ("queue", found.queue),
        ("state", found.state),
        ("priority", f"{found.priority} {PRIORITIES.get(found.priority, '')}"),
        ("owner", found.owner),
        ("customer", found.customer),
        ("people", value["participants"]),
        ("tags", found.tags),
        ("fields", [f"{name}={text}" for name, text in found.fields.items()]),
        ("links", [f"{e['number']} ({e['kind']})" for e in value["links"]]),
        ("created", found.created_at),
        ("changed", found.changed_at),
    )
    print_facts(facts, zone)
    for article in value["articles"]:
        click.echo()
        _print_article(article, found.number, zone, full=full)


def _print_article(
    article: Mapping[str, Any], number: str, zone: ZoneInfo, *, full: bool
) -> None:
    kind = article["kind"].replace("_", " ")
    private = "" if article["visible_to_customer"] else ", not seen by the customer"
    at = moment(article["created_at"], zone)
    sender = f"{article['sender_type']}, {kind}{private}"
    click.echo(f"-- article {article['n']} - {at} - {sender}")
    attached = [_attachment(each) for each in article["attachments"]]
    facts = (
        ("ticket", "" if article["number"] == number else article["number"]),
        ("from", article["from_text"]),
        ("to", article["to_text"]),
        ("cc", article["cc_text"]),
        ("subject", article["subject"]),
        *(("attached", each) for each in attached),
        ("defects", "; ".join(article["defects"])),
        ("sender", _proved(article["auth"])),
        ("sealed", _sealed(article["seal"])),
        *(("delivery", each) for each in article["delivery"]),
    )
    print_facts(facts, zone, indent="   ")
    text = article["text"] if full else folded(article["text"], article["passages"])
    text = text.strip("\n")
    if text:
        click.echo()
        say(text)


def _proved(auth: Mapping[str, Any]) -> str:
    from otrsd.model.auth import Auth

    found = Auth.from_plain(auth)
    return "; ".join(each for each in (str(found), *found.notes) if each)


def _sealed(seal: Mapping[str, Any]) -> str:
    from otrsd.model.seal import Seal

    return str(Seal.from_plain(seal))


def _attachment(part: Mapping[str, Any]) -> str:
    name = part.get("name") or "(no name)"
    kind, size = part.get("type", ""), octets_text(part.get("size", 0))
    where = f"{name}, {kind}, {size}, part {part.get('path', '')}"
    if part["unread"]:
        return f"{where}, not searchable: {part['unread']}"
    read = f", {part['characters']:,} characters of text" if part["characters"] else ""
    return f"{where}{read}"


def _told(row: HistoryRow) -> str:
    """Return what changed in words: ``new -> open``, else ``name=value``."""
    data = dict(row.data)
    if set(data) != {"old", "new"}:
        return ", ".join(f"{k}={_plain(v)}" for k, v in data.items() if v)
    old, new = data["old"], data["new"]
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        return ", ".join(
            f"{n}: {_plain(old.get(n))} -> {_plain(new.get(n))}" for n in names
        )
    return f"{_plain(old)} -> {_plain(new)}"


def _plain(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={_plain(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return str(value)
