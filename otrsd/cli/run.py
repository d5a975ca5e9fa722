"""``otrsd run``: check, upgrade the schema, supervise."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from otrsd.cli.site import Site

if TYPE_CHECKING:
    from otrsd.daemon.roles import Role


@click.command()
@click.option("--check-only", is_flag=True, help="Check, as a start would; don't run.")
@click.pass_obj
def run(site: Site, *, check_only: bool) -> int:
    """Run the daemon until SIGTERM or Ctrl-C.

    The configuration is checked first; a mistake is named with file and line and
    nothing starts. A new or older schema is upgraded.
    """
    if check_only:
        return _check(site)
    # Only light modules here: what the supervisor imports stays in memory for
    # good, and a plugin's code must never be in it.
    from otrsd.cli.access import enter
    from otrsd.clock import SystemClock
    from otrsd.daemon.lines import Lines
    from otrsd.daemon.supervisor import Supervisor

    path = site.path
    enter(site.state)
    clock = SystemClock()
    environ = dict(site.environ)

    def prepare() -> Sequence[Role]:
        from otrsd.app import load
        from otrsd.daemon.runs import prepare_state, roles_of
        from otrsd.store.schema import require, upgrade

        # A start after a power cut must not fail for a rule's test; a reload may.
        reloads = supervisor.has_been_ready
        app = load(path, environ, clock, tried=reloads)
        if reloads:
            # A reload: roles are at work on this schema; they must not lose it.
            require(app.database)
        else:
            prepare_state(app)
            upgrade(app.database)
        app.desk()
        app.close()
        return roles_of(app)

    supervisor = Supervisor(
        prepare,
        state=site.state,
        log=Lines(
            sys.stderr.fileno(),
            clock,
            as_json=environ.get("OTRSD_LOG") == "json",
            level=environ.get("OTRSD_LOG_LEVEL", "info"),
        ),
        clock=clock,
        environ=environ,
    )
    os.umask(0o077)
    return supervisor.run()


def _check(site: Site) -> int:
    """Say what a start would say, and leave everything as it is."""
    from otrsd.cli.check import examined_site, print_problems, summary

    examined, code = examined_site(site, strict=False)
    print_problems(examined)
    click.echo(summary(examined))
    return code
