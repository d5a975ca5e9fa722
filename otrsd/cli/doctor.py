"""``otrsd doctor``: every finding with its remedy; also as a monitoring plugin.

``--nagios`` follows the Monitoring Plugins Development Guidelines: one line of status
with performance data, then one line a finding; exit 0, 1, 2 or 3.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otrsd.cli.output import print_json, say
from otrsd.cli.site import Site
from otrsd.config.problem import has_password
from otrsd.errors import NotAllowedError, OtrsdError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.daemon.checks import Check

_SECONDS = 5.0
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_SEEN_BY_OTHERS = stat.S_IRWXO


@click.command()
@click.option("--nagios", is_flag=True, help="Print and exit as Nagios wants it.")
@click.option(
    "--mta", is_flag=True, help="Send a mail through the MTA, await its ticket."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds that --mta waits.",
)
@click.pass_obj
def doctor(
    site: Site, *, nagios: bool, mta: bool, as_json: bool, timeout: float
) -> int:
    """Look at configuration, daemon, ports, mailboxes, files, clock, spool and index.

    Exit 1 where something is wrong; each finding comes with a command to try. With
    --nagios it is 0, 1, 2 or 3: ok, warning, critical, unknown.
    """
    try:
        checks = list(_checks(site, timeout if mta else None))
    except NotAllowedError as error:
        if not nagios:
            raise
        click.echo(f"OTRSD UNKNOWN - {error}")
        return 3
    worst = max(check.level for check in checks)
    if nagios:
        _print_nagios(checks)
        return int(worst)
    if as_json:
        print_json([{**asdict(c), "level": c.level.name.lower()} for c in checks])
    else:
        for check in checks:
            say(f"{check.level.name.lower():<9} {check.name:<9} {check.text}")
            if check.remedy:
                say(f"{'':<9} {'':<9} try: {check.remedy}")
    return 1 if worst else 0


def _checks(site: Site, mta_seconds: float | None) -> Iterator[Check]:
    """Yield what was found, as far as one can look."""
    from otrsd.cli.alias import check_alias
    from otrsd.daemon.accounts import check_accounts, check_logins
    from otrsd.daemon.checks import Check, Level, looked_at, run_checks

    with site.entered():
        try:
            with site.app(schema=False) as app:
                yield Check(name="config", text=f"{len(app.config.files)} files, ok")
                yield from run_checks(app)
                if app.config.fetch:
                    yield looked_at("fetch", check_accounts, app)
                    yield from check_logins(app)
                yield from _ports(app)
                yield _files(app)
                yield from filter(None, [check_alias(app.state)])
                if mta_seconds is not None:
                    from otrsd.cli.probe import probe

                    yield probe(app, mta_seconds)
        except OtrsdError as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            yield Check(
                name="config", level=Level.CRITICAL, text=first, remedy="otrsd check"
            )


def _ports(app: App) -> Iterator[Check]:
    """Yield of each listener whether it answers as it should."""
    from otrsd.daemon import status
    from otrsd.daemon.checks import Check, Level

    found = status.read(app.state)
    if found is None or not any(p.name == "receiver" for p in found.processes):
        # No daemon, or one that has other roles: it listens nowhere.
        return
    listen = app.config.listen
    for name in ("smtp", "lmtp"):
        listener = getattr(listen, name)
        if listener is None or not listener.port:
            continue
        place = f"{listener.address}:{listener.port}"
        greeting = _greeting(listener.address, listener.port)
        # Who may not connect is told so by one that is well.
        good = greeting.startswith(("220", "550 5.7.1"))
        yield Check(
            name=name,
            level=Level.OK if good else Level.CRITICAL,
            text=f"{place} greets" if good else f"{place}: {greeting}",
            remedy="" if good else f"ss -ltnp 'sport = :{listener.port}'",
        )


def _greeting(address: str, port: int) -> str:
    """Return the first line that a listener says, or why it says none."""
    where = "127.0.0.1" if address in {"0.0.0.0", "localhost"} else address  # noqa: S104 - asked for, not bound
    where = "::1" if where == "::" else where
    try:
        with socket.create_connection((where, port), timeout=_SECONDS) as connection:
            said = connection.recv(512)
            with suppress(OSError):
                connection.sendall(b"QUIT\r\n")
                # A connection closed over an unread reply would be logged as broken.
                connection.recv(512)
    except OSError as error:
        return error.strerror or str(error)
    return said.decode("utf-8", "replace").strip() or "it closed the connection"


def _files(app: App) -> Check:
    """Return whether somebody else can write what decides, or read what is secret."""
    from otrsd.daemon.checks import Check, Level

    root, state = app.config.root, app.state
    deciding = [root / name for name in app.config.files]
    deciding += [root, root / "config", root / "plugins"]
    deciding += sorted((root / "plugins").glob("*.py"))
    secret = [state / "keys", *sorted((state / "keys").glob("*"))]
    secret += [state / "spool.db", state / "desk.db", *(root / "credentials").glob("*")]
    open_to = [p for p in deciding if _has(p, _WRITABLE_BY_OTHERS)]
    seen = [p for p in secret if _has(p, _SEEN_BY_OTHERS | stat.S_IWGRP)]
    written = [root / n for n, text in app.config.files.items() if has_password(text)]
    # A folder that is closed to others closes what is in it.
    seen += [
        p for p in written if _has(p, _SEEN_BY_OTHERS) and _has(p.parent, stat.S_IXOTH)
    ]
    foreign = [p for p in secret[:-1] if _owner(p) not in {None, os.geteuid(), 0}]
    for paths, what, remedy in (
        (seen, "others can read or write {}", "chmod go-rwx {}"),
        (open_to, "others can write {}", "chmod go-w {}"),
        (foreign, "{} belongs to somebody else", "chown -R {{the daemon's user}} {}"),
    ):
        if paths:
            named = _named(paths)
            return Check(
                name="files",
                level=Level.WARNING,
                text=what.format(named),
                remedy=remedy.format(named),
            )
    return Check(name="files", text="only their owner can change them")


def _named(paths: Sequence[Path]) -> str:
    return " ".join(str(path) for path in paths)


def _has(path: Path, bits: int) -> bool:
    try:
        found = path.stat().st_mode
    except OSError:
        return False
    # A shared folder with the sticky bit lets nobody replace another's files.
    return bool(found & bits) and not found & stat.S_ISVTX


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _print_nagios(checks: Sequence[Check]) -> None:
    from otrsd.daemon.checks import Level

    worst = max(check.level for check in checks)
    bad = [check for check in checks if check.level]
    line = "; ".join(f"{c.name}: {c.text}" for c in bad) or f"{len(checks)} checks"
    figures = " ".join(
        f"{check.name}_{name}={value:g}"
        for check in checks
        for name, value in check.figures.items()
    )
    # The bar divides text and figures, so it can't stand in the text.
    said = " ".join(line.replace("|", "/").split())
    say(f"OTRSD {Level(worst).name} - {said} | {figures}")
    for check in bad:
        more = f" - try: {check.remedy}" if check.remedy else ""
        say(f"{check.level.name} {check.name}: {check.text}{more}".replace("|", "/"))
