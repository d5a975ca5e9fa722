"""``otrsd search`` and ``otrsd reindex``: find tickets by words and fields."""

from __future__ import annotations

from collections.abc import Sequence

import click

from otrsd.cli import finding
from otrsd.cli.output import counted, print_json
from otrsd.cli.progress import shown
from otrsd.cli.site import Site


@click.command(context_settings=finding.QUERY_SETTINGS)
@click.argument("query", nargs=-1, required=True)
@click.option("--count", is_flag=True, help="Print only how many tickets match.")
@finding.page_options
@click.pass_obj
def search(  # noqa: PLR0913 - one parameter an option
    site: Site,
    query: Sequence[str],
    *,
    count: bool,
    as_json: bool,
    limit: int,
    after: str | None,
    sort: str,
) -> None:
    """Search tickets by words and fields.

    Words are found by their stem, with and without umlauts. Fields narrow it:
    queue:support is:open from:*@example.com age:>3d -tag:spam "exact phrase"
    """
    with site.app() as app:
        tree = finding.understood(app, " ".join(query), site.caller)
        if count:
            from otrsd.desk.search import matches

            number = len(matches(app.database, app.index, tree, clock=app.clock))
            print_json(number) if as_json else click.echo(str(number))
        else:
            found = finding.find_page(app, tree, limit=limit, after=after, sort=sort)
            finding.print_page(app, found, as_json=as_json)
        finding.tell_of_lag(app, tree)


@click.command()
@click.pass_obj
def reindex(site: Site) -> None:
    """Rebuild the full-text index beside the live one, then swap.

    Searches and the daemon go on meanwhile. Ctrl-C leaves the old index as it is.
    """
    from otrsd.desk.search import rebuild

    with site.app() as app:
        with shown("articles") as progress:
            rebuild(app.database, app.index, progress)
        pieces = counted(app.index.segments(), "segment")
        click.echo(f"the index is rebuilt: {pieces}")
