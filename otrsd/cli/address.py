"""``otrsd address``: look at addresses whose mail came back, and clear them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from otrsd.cli.ask import ALL, DECLINED, Asked, Asking, changing, do_each
from otrsd.cli.finding import zone_of
from otrsd.cli.output import print_json, print_table, tell
from otrsd.cli.site import Site


@click.group()
def address() -> None:
    """Look at addresses whose mail comes back."""


@address.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_(site: Site, *, as_json: bool) -> None:
    """List the addresses from which mail came back for good in the last 60 days."""
    from dataclasses import asdict

    from otrsd.desk.addresses import marked

    with site.app() as app:
        found = marked(app.desk())
        if as_json:
            print_json([asdict(each) for each in found])
            return
        heading = ("address", "times", "last", "ticket", "no automatic mail until")
        rows = [
            (e.address, e.times, e.last_at, e.ticket, e.until if e.is_muted else "")
            for e in found
        ]
        print_table(heading, rows, zone_of(app))


@address.command(cls=Asking)
@click.argument("addresses", metavar="ADDRESS...|ALL", nargs=-1, required=True)
@changing
@click.pass_obj
def clear(site: Site, addresses: Sequence[str], *, asked: Asked) -> int:
    """Forget that mail came back: the address gets automatic mail again."""
    from otrsd.desk import addresses as verbs

    with site.app() as app:
        names = list(dict.fromkeys(addresses))
        if ALL in names:
            names = [each.address for each in verbs.marked(app.desk())]
        if not names:
            tell("nothing to do: no address is marked")
            return 0
        if not asked.agrees("clear", names):
            return 0 if asked.dry_run else DECLINED

        def deed(name: str) -> str:
            verbs.clear(app.desk(), name, site.who)
            return f"cleared {name}"

        return do_each(names, deed)
