"""``otrsd plugins``: which ones there are, what is wrong with them, a new one."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otrsd.cli.output import counted, print_json, print_table, tell
from otrsd.cli.site import Site
from otrsd.errors import InputError

if TYPE_CHECKING:
    from otrsd.config.models import Config
    from otrsd.loading import Loaded


@click.group()
def plugins() -> None:
    """List, check and write plugins."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_(site: Site, *, as_json: bool) -> None:
    """List the plugins in the order in which they are asked."""
    config, loaded = _loaded(site)
    values = _values(config, loaded, _failing(site))
    if as_json:
        print_json(values)
        return
    heading = ("name", "version", "from", "state", "hooks", "source")
    names = ("name", "version", "origin", "state", "hooks", "source")
    print_table(heading, [[each[name] for name in names] for each in values])
    for each in values:
        if each["error"]:
            tell(f"{each['name']}: {each['error']}")
    if loaded.left_out:
        tell("broken plugins are not used. Try: otrsd plugins check")


@plugins.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def check(site: Site, *, as_json: bool) -> int:
    """Check the plugins alone: hooks, arguments, settings; exit 1 on an error."""
    from otrsd.config.problem import Severity

    _, loaded = _loaded(site)
    problems = loaded.problems
    errors = sum(each.severity is Severity.ERROR for each in problems)
    if as_json:
        print_json(problems)
    else:
        for each in problems:
            click.echo(each.render())
        good = counted(len(loaded.plugins), "plugin")
        warnings = counted(len(problems) - errors, "warning")
        click.echo(f"{good} loaded, {counted(errors, 'error')}, {warnings}")
    return 1 if errors else 0


@plugins.command()
@click.argument("name")
@click.argument("folder", metavar="[DIR]", required=False)
@click.pass_obj
def new(site: Site, name: str, folder: str | None) -> None:
    """Write a plugin of one file, and a test for it that is green.

    DIR is the site's folder, where otrsd.yaml is; nothing is overwritten.
    """
    from otrsd.plugin_template import new_plugin

    root = Path(folder) if folder else site.path.parent
    files = {root / path: text for path, text in new_plugin(name).items()}
    for path in files:
        if path.exists():
            raise InputError(
                f"{path} is there already, and is not overwritten. "
                "Take another name, or try: otrsd plugins check"
            )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            click.echo(str(path))
    except OSError as error:
        raise InputError(
            f"{error.filename}: can't be written: {error.strerror}. "
            f"Try: otrsd plugins new {name} DIR"
        ) from error
    test = root / "tests" / f"test_{name}.py"
    now = f"{sys.executable} -m pytest {test}"
    click.echo(f"Now: {now}; then: otrsd plugins check", err=True)


def _loaded(site: Site) -> tuple[Config, Loaded]:
    """Load the plugins of a site whose files can be read."""
    from otrsd.app import shipped_plugins
    from otrsd.cli.access import shed_root
    from otrsd.config.load import load
    from otrsd.loading import load_plugins

    path = site.path
    shed_root(site.state)
    config = load(path, site.environ)
    return config, load_plugins(config, shipped=shipped_plugins())


def _failing(site: Site) -> dict[str, str]:
    """Return plugin → what it said, where the spool can be asked."""
    from otrsd.clock import SystemClock
    from otrsd.errors import NotAllowedError
    from otrsd.spool import Spool

    try:
        with site.entered() as state:
            if not (state / "spool.db").exists():
                return {}
            spool = Spool(state / "spool.db", SystemClock())
            try:
                return {each.name: each.error for each in spool.plugin_health()}
            finally:
                spool.close()
    except NotAllowedError:
        # Whoever may read the configuration may see the list; failures quote mails.
        return {}


def _values(
    config: Config, loaded: Loaded, failing: dict[str, str]
) -> list[dict[str, Any]]:
    """Return one object a plugin, as ``--json`` prints them."""
    values: list[dict[str, Any]] = [
        {
            "name": each.name,
            "version": each.version,
            "origin": each.origin,
            "state": "failing" if each.name in failing else "on",
            "hooks": list(each.hooks),
            "source": each.source,
            "error": failing.get(each.name, ""),
        }
        for each in loaded.plugins
    ]
    absent = {"version": "", "origin": "", "hooks": [], "source": "", "error": ""}
    values += [
        {**absent, **asdict(each), "state": "broken"} for each in loaded.left_out
    ]
    return values + [
        {**absent, "name": name, "state": "disabled"} for name in config.plugins.disable
    ]
