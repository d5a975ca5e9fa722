"""``otrsd reload``: the daemon takes the new configuration, or keeps the old one."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import click

from otrsd.cli.output import print_json, say, tell
from otrsd.cli.site import Site
from otrsd.daemon import lock
from otrsd.daemon.reload import Result, read
from otrsd.errors import NotFoundError, TemporaryError

_STEP = 0.05


@click.command()
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=90.0,
    show_default=True,
    help="Seconds to wait for the result.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def reload(site: Site, *, timeout: float, as_json: bool) -> int:
    """Let the running daemon take the new configuration and plugins.

    It loads them beside the old ones, hands the listening sockets over without losing
    a connection, and finishes each mail in hand under the old configuration. A mistake
    is named with its place, the old configuration stays in force, and this exits 1.
    SIGHUP does the same and tells only the log.
    """
    with site.entered() as state:
        result = _reloaded(state, timeout)
    if as_json:
        print_json({"ok": result.ok, "text": result.text, "at": result.at})
    elif result.ok:
        click.echo("reloaded: the new configuration is in force")
    else:
        say(result.text)
        tell("the daemon keeps the configuration it had. Try: otrsd check")
    return 0 if result.ok else 1


def _reloaded(state: Path, timeout: float) -> Result:
    """Ask for a reload that begins after now, and wait for its end."""
    pid = lock.holder(state)
    if not pid:
        raise NotFoundError(f"no daemon runs on {state}. Try: otrsd run")
    before = read(state).begun
    os.kill(pid, signal.SIGHUP)
    waiting = threading.Event()
    for _ in range(int(timeout / _STEP)):
        if (result := read(state)).done > before:
            return result
        if lock.holder(state) != pid:
            raise NotFoundError(f"the daemon on {state} has ended. Try: otrsd run")
        waiting.wait(_STEP)
    raise TemporaryError(
        f"the daemon has not finished after {timeout:g} s; it may still do so. "
        "Try: otrsd status"
    )
