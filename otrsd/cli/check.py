"""``otrsd check``: everything that can be known of a site before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from otrsd.cli.output import counted, print_json
from otrsd.cli.site import Site

if TYPE_CHECKING:
    from otrsd.app import App, Examined


@click.command()
@click.option("--strict", is_flag=True, help="Let warnings fail the check, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def check(site: Site, *, strict: bool, as_json: bool) -> int:
    """Check the configuration, the rules and the plugins; change nothing.

    Each finding names file, line and column, and what to write instead. Exit 1
    where there is an error; with --strict also where there is a warning.
    """
    examined, code = examined_site(site, strict=strict)
    if as_json:
        print_json({"ok": code == 0, **_value(examined)})
        return code
    print_problems(examined)
    if examined.app is not None:
        click.echo(_ways_in(examined.app))
        click.echo(_found(examined.app))
    click.echo(summary(examined))
    if code:
        _tell_of_daemon(site)
    return code


def examined_site(site: Site, *, strict: bool) -> tuple[Examined, int]:
    """Examine the site; return what came of it and the exit code."""
    from otrsd.app import examine
    from otrsd.cli.access import shed_root
    from otrsd.clock import SystemClock

    path = site.path
    shed_root(site.state)
    examined = examine(path, site.environ, SystemClock(), tried=True)
    if examined.app is not None:
        examined.app.close()
    errors, warnings = _counts(examined)
    return examined, 1 if errors or (strict and warnings) else 0


def print_problems(examined: Examined) -> None:
    """Print each finding with its place, the line and a caret."""
    for problem in examined.problems:
        click.echo(problem.render())


def summary(examined: Examined) -> str:
    """Return the last line: how many findings there are."""
    errors, warnings = _counts(examined)
    if not errors and not warnings:
        return "no errors, no warnings"
    return f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"


def _counts(examined: Examined) -> tuple[int, int]:
    from otrsd.config.problem import Severity

    kinds = [problem.severity for problem in examined.problems]
    return kinds.count(Severity.ERROR), kinds.count(Severity.WARNING)


def _value(examined: Examined) -> dict[str, Any]:
    """Return the findings and, if there is no error, what the site consists of."""
    errors, warnings = _counts(examined)
    value: dict[str, Any] = {
        "errors": errors,
        "warnings": warnings,
        "problems": [asdict(problem) for problem in examined.problems],
    }
    app = examined.app
    if app is not None:
        value["listeners"] = _listeners(app)
        value["queues"] = list(app.config.queues)
        value["rules"] = [rule.name for rule in app.rules.rules]
        value["plugins"] = [plugin.name for plugin in app.hooks.plugins]
        value["files"] = list(app.config.files)
    return value


def _listeners(app: App) -> dict[str, str]:
    listen = app.config.listen
    ways = {"smtp": listen.smtp, "lmtp": listen.lmtp}
    return {name: f"{way.address}:{way.port}" for name, way in ways.items() if way}


def _fetched(app: App) -> Iterator[str]:
    for each in app.config.fetch.values():
        yield f"{each.protocol} {each.username} at {each.host}:{each.reached_at}"


def _ways_in(app: App) -> str:
    ways = [f"{name} {place}" for name, place in _listeners(app).items()]
    return "mail in: " + ", ".join([*ways, *_fetched(app), "otrsd pipe"])


def _found(app: App) -> str:
    return "   ".join(
        f"{name}: {number} ok"
        for name, number in (
            ("files", len(app.config.files)),
            ("queues", len(app.config.queues)),
            ("rules", len(app.rules.rules)),
            ("plugins", len(app.hooks.plugins)),
        )
    )


def _tell_of_daemon(site: Site) -> None:
    from otrsd.daemon import lock

    if lock.holder(site.state) is not None:
        click.echo("The running daemon keeps the configuration it started with.")
