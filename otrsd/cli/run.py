"""``otrsd run``: check, upgrade the schema, supervise."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otrsd.cli.site import Site
from otrsd.daemon.roles import DUTIES, Wanted
from otrsd.errors import InputError

if TYPE_CHECKING:
    from otrsd.clock import Clock
    from otrsd.daemon.lines import Lines
    from otrsd.daemon.manner import Manner
    from otrsd.daemon.roles import Role

#: What $OTRSD_LOG may say.
_FORMS = ("text", "json")


def _duties(_context: object, _option: object, given: str | None) -> frozenset[str]:
    """Return the duties that --role names, or say what is wrong with them."""
    if given is None:
        return frozenset(DUTIES)
    named = frozenset(each.strip() for each in given.split(",") if each.strip())
    unknown = ", ".join(sorted(named - set(DUTIES)))
    if unknown or not named:
        listed = ", ".join(DUTIES)
        raise click.BadParameter(f"there is no role '{unknown}'; there are {listed}")
    if "receiver" in named and "postmaster" not in named:
        raise click.BadParameter(
            "a receiver needs a postmaster beside it: nobody else reads this node's "
            f"spool. Try: --role {','.join(sorted(named | {'postmaster'}))}"
        )
    return named


@click.command()
@click.option("--check-only", is_flag=True, help="Check, as a start would; don't run.")
@click.option(
    "--dev",
    is_flag=True,
    help="Lines for the eye, a reload when a file is saved, one postmaster, no mail "
    "sent.",
)
@click.option("--single", is_flag=True, help="Run everything in one process.")
@click.option(
    "--role",
    "duties",
    metavar="ROLE,…",
    callback=_duties,
    help="Run only these here: receiver, postmaster, relay, scheduler.",
)
@click.pass_obj
def run(
    site: Site, *, check_only: bool, dev: bool, single: bool, duties: frozenset[str]
) -> int:
    """Run the daemon until SIGTERM or Ctrl-C.

    The configuration is checked first; a mistake is named with file and line and
    nothing starts. A new or older schema is upgraded.
    """
    if check_only:
        return _check(site)
    # Only light modules here: what the supervisor imports stays in memory for
    # good, and a plugin's code must never be in it (but with --single).
    from otrsd.cli.access import enter
    from otrsd.clock import SystemClock
    from otrsd.daemon.environment import conceal
    from otrsd.daemon.supervisor import Supervisor

    clock = SystemClock()
    log = _lines(site.environ, clock, dev=dev)
    wanted = Wanted(duties=duties, single=single, dev=dev)
    enter(site.state)
    if dev:
        log.info("dev.mail", kept="none is sent", look="otrsd spool list --out")
    environ = dict(site.environ)
    conceal()
    supervisor = Supervisor(
        _preparation(site, clock, wanted, lambda: supervisor.has_been_ready),
        state=site.state,
        log=log,
        clock=clock,
        environ=environ,
        manner=_manner(site, clock, log, wanted),
    )
    os.umask(0o077)
    code = supervisor.run()
    if single:
        # A thread that is deaf must not keep the process.
        os._exit(code)
    return code


def _preparation(
    site: Site, clock: Clock, wanted: Wanted, is_reload: Callable[[], bool]
) -> Callable[[], Sequence[Role]]:
    """Return what the template does first: load everything."""
    path, environ = site.path, dict(site.environ)

    def prepare() -> Sequence[Role]:
        from otrsd.app import load
        from otrsd.daemon.runs import prepare_state, roles_of
        from otrsd.store.schema import require, upgrade

        # A start after a power cut must not fail for a rule's test; a reload may.
        reloads = is_reload()
        app = load(path, environ, clock, tried=reloads)
        if reloads:
            # Roles are at work on this schema; they must not lose it.
            require(app.database)
        else:
            prepare_state(app)
            upgrade(app.database)
        app.desk()
        app.close()
        return roles_of(app, wanted)

    return prepare


def _manner(site: Site, clock: Clock, log: Lines, wanted: Wanted) -> Manner:
    from otrsd.daemon.generation import Forked, Launch
    from otrsd.daemon.manner import Manner

    launch: Launch = Forked
    if wanted.single:
        from otrsd.daemon.threads import Threads

        launch = Threads(site.state)
    if not wanted.dev:
        return Manner(launch=launch)
    from otrsd.daemon.dev import Watch

    return Manner(launch=launch, has_changed=Watch(_root(site), clock, log))


def _root(site: Site) -> Path:
    return site.path.absolute().parent


def _lines(environ: Mapping[str, str], clock: Clock, *, dev: bool) -> Lines:
    """Return the log; where there is no stderr, it goes to stdout."""
    from otrsd.daemon.lines import LEVELS, Lines

    form = _one_of(environ, "OTRSD_LOG", _FORMS, "text")
    level = _one_of(environ, "OTRSD_LOG_LEVEL", LEVELS, "debug" if dev else "info")
    descriptor = 1 if sys.stderr is None else sys.stderr.fileno()
    dress = None
    if dev:
        from otrsd.daemon.dev import dressed

        coloured = os.isatty(descriptor) and not environ.get("NO_COLOR")
        dress = dressed(coloured=coloured)
    return Lines(descriptor, clock, as_json=form == "json", level=level, dress=dress)


def _one_of(
    environ: Mapping[str, str], name: str, allowed: Sequence[str], default: str
) -> str:
    """Return what a variable says, in small letters."""
    value = environ.get(name, "").strip().lower() or default
    if value in allowed:
        return value
    raise InputError(
        f"{name} is {environ[name]!r}; it can be {', '.join(allowed)}. "
        f"Try: {name}={default} otrsd run"
    )


def _check(site: Site) -> int:
    """Say what a start would say, and leave everything as it is."""
    from otrsd.cli.check import examined_site, print_problems, summary

    examined, code = examined_site(site, strict=False)
    print_problems(examined)
    click.echo(summary(examined))
    return code
