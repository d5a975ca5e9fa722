"""``otrsd run``: check, upgrade the schema, supervise."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otrsd.cli.site import Site

if TYPE_CHECKING:
    from otrsd.daemon.roles import Role


@click.command()
@click.pass_obj
def run(site: Site) -> int:
    """Run the daemon until SIGTERM or Ctrl-C.

    The configuration is checked first; a mistake is named with file and line and
    nothing starts. A new or older schema is upgraded.
    """
    # Only light modules here: what the supervisor imports stays in memory for
    # good, and a plugin's code must never be in it.
    from otrsd.clock import SystemClock
    from otrsd.daemon.lines import Lines
    from otrsd.daemon.supervisor import Supervisor

    path = site.path
    clock = SystemClock()
    environ = dict(site.environ)

    def prepare() -> Sequence[Role]:
        from otrsd.app import load
        from otrsd.daemon.runs import prepare_state, roles_of
        from otrsd.store.schema import upgrade

        app = load(path, environ, clock)
        prepare_state(app)
        upgrade(app.database)
        app.desk()
        app.close()
        return roles_of(app)

    supervisor = Supervisor(
        prepare,
        state=state_folder(site),
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


def state_folder(site: Site) -> Path:
    """Return the state folder without reading any YAML."""
    named = site.environ.get("OTRSD_STATE")
    return Path(named) if named else site.path.absolute().parent / "var"
