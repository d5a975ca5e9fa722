"""``otrsd db``: the schema's version."""

from __future__ import annotations

import click

from otrsd.cli.site import Site


@click.group()
def db() -> None:
    """Look at and upgrade the database's schema."""


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(site: Site, *, as_json: bool) -> int:
    """Show the schema's version; exit 1 if an upgrade is due."""
    from otrsd.cli.output import print_json
    from otrsd.store import schema

    with site.app(schema=False) as app:
        found = schema.status(app.database)
        url = app.database.shown
    if as_json:
        value = {"url": url, "current": found.current, "newest": found.newest}
        print_json({**value, "known": found.known})
    else:
        click.echo(f"database  {url}")
        click.echo(f"schema    {found.current or 'none'} (newest {found.newest})")
    if not found.known:
        click.echo("otrsd: a newer otrsd has upgraded it; install that", err=True)
    elif not found.is_current:
        click.echo("otrsd: an upgrade is due. Try: otrsd db upgrade", err=True)
    return 0 if found.is_current else 1


@db.command()
@click.pass_obj
def upgrade(site: Site) -> int:
    """Bring the schema up to date; forward only, safe to repeat."""
    from otrsd.store import schema

    with site.app(schema=False) as app:
        app.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = schema.upgrade(app.database)
    if before.is_current:
        click.echo(f"schema {before.current}: nothing to do")
    else:
        click.echo(f"schema {before.current or 'none'} -> {before.newest}")
    return 0
