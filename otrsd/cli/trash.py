"""``otrsd trash``: look at discarded mails, restore them, purge them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from otrsd.cli.ask import ALL, DECLINED, Asked, Asking, changing, do_each
from otrsd.cli.finding import is_id, zone_of
from otrsd.cli.output import (
    octets_text,
    print_facts,
    print_json,
    print_octets,
    print_table,
    say,
    tell,
)
from otrsd.cli.site import Site
from otrsd.errors import NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.store.trash import Discarded


@click.group()
def trash() -> None:
    """Look at, restore or purge discarded mails."""


@trash.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_(site: Site, *, as_json: bool) -> None:
    """List the discarded mails, the newest first, and why they are here."""
    with site.app() as app:
        entries = _entries(app)
        if as_json:
            print_json(entries)
            return
        heading = (
            "id",
            "discarded",
            "because of",
            "from",
            "subject",
            "reason",
            "until",
        )
        rows = [
            (e.id, e.created_at, e.cause, _sender(e), e.subject, e.reason, e.expires_at)
            for e in entries
        ]
        print_table(heading, rows, zone_of(app))


@trash.command()
@click.argument("trash_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--raw", is_flag=True, help="Print the mail itself, octet by octet.")
@click.pass_obj
def show(site: Site, trash_id: str, *, as_json: bool, raw: bool) -> None:
    """Show one discarded mail."""
    from otrsd.mime.parse import parse
    from otrsd.store import content

    with site.app() as app:
        entry = _named(app, trash_id)
        with app.database.read() as connection:
            octets = content.read(connection, entry.content_sha256)
        if raw:
            print_octets(octets)
            return
        mail = parse(octets)
        if as_json:
            print_json({**_value(entry), "size": mail.size, "text": mail.text})
            return
        facts = (
            ("id", entry.id),
            ("discarded", entry.created_at),
            ("because of", entry.cause),
            ("reason", entry.reason),
            ("until", entry.expires_at),
            ("mail", entry.spool_id),
            ("from", _sender(entry)),
            ("to", entry.envelope.rcpt_tos),
            ("subject", entry.subject),
            ("size", octets_text(mail.size)),
        )
        print_facts(facts, zone_of(app))
        if mail.text.strip():
            click.echo()
            say(mail.text.strip("\n"))


@trash.command(cls=Asking)
@click.argument("trash_ids", metavar="ID...|ALL", nargs=-1, required=True)
@changing
@click.pass_obj
def restore(site: Site, trash_ids: Sequence[str], *, asked: Asked) -> int:
    """Send discarded mails on their journey again.

    The plugin or rule that discarded a mail is left out this time.
    """
    from otrsd.desk import trash as verbs

    def deed(app: App, entry: Discarded) -> str:
        verbs.restore(app.desk(), app.spool, entry.id, site.who)
        return f"restored {entry.id}: it waits in the spool as {entry.spool_id}"

    return _change(site, trash_ids, asked, "restore", deed)


@trash.command(cls=Asking)
@click.argument("trash_ids", metavar="ID...|ALL", nargs=-1, required=True)
@changing
@click.pass_obj
def purge(site: Site, trash_ids: Sequence[str], *, asked: Asked) -> int:
    """Remove discarded mails for good; nothing brings them back."""
    from otrsd.desk import trash as verbs

    def deed(app: App, entry: Discarded) -> str:
        verbs.purge(app.desk(), entry.id, site.who)
        return f"purged {entry.id}"

    return _change(site, trash_ids, asked, "purge", deed)


def _change(
    site: Site,
    names: Sequence[str],
    asked: Asked,
    verb: str,
    deed: Callable[[App, Discarded], str],
) -> int:
    with site.app() as app:
        if ALL in names:
            entries = _entries(app)
        else:
            entries = [_named(app, name) for name in dict.fromkeys(names)]
        if not entries:
            tell("nothing to do: the trash is empty")
            return 0
        if not asked.agrees(verb, [_line(entry) for entry in entries]):
            return 0 if asked.dry_run else DECLINED
        by_id = {str(entry.id): entry for entry in entries}
        return do_each(list(by_id), lambda name: deed(app, by_id[name]))


def _entries(app: App) -> list[Discarded]:
    from otrsd.store import trash as rows

    with app.database.read() as connection:
        return rows.entries(connection)


def _named(app: App, name: str) -> Discarded:
    from otrsd.desk import trash as verbs

    if not is_id(name):
        raise NotFoundError(
            f"{name!r} is no mail in the trash: they have numbers, or ALL for all of "
            "them. Try: otrsd trash list"
        )
    return verbs.find(app.desk(), int(name))


def _line(entry: Discarded) -> str:
    return f"{entry.id}  from {_sender(entry)}  {entry.subject!r}  ({entry.reason})"


def _sender(entry: Discarded) -> str:
    return entry.from_text or entry.envelope.mail_from


def _value(entry: Discarded) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(entry)
