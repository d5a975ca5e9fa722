"""What can be wrong with a running site, and what to do about it.

In: an App of this very process and the files that the supervisor writes. Out: one
:class:`Check` a subject, never an exception: what can't be looked at is a finding. The
health page and ``otrsd doctor`` show the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum

from otrsd.app import App
from otrsd.daemon import reload, status, timekeeping
from otrsd.errors import OtrsdError
from otrsd.spool import State
from otrsd.store import figures, index_todo, schema

#: Seconds that the oldest mail may wait: from here on it is odd, or bad.
_SPOOL_ODD, _SPOOL_BAD = 300.0, 3600.0
_INDEX_ODD = 60.0
_AHEAD = timedelta(minutes=1)


class Level(IntEnum):
    """How bad it is; the numbers are those of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One subject looked at."""

    name: str
    level: Level = Level.OK
    text: str
    #: A command to try; empty where all is well.
    remedy: str = ""
    #: Numbers by name, for a monitoring system.
    figures: Mapping[str, float] = field(default_factory=dict)


def run_checks(app: App) -> tuple[Check, ...]:
    """Look at everything a running site consists of."""
    return tuple(looked_at(name, look, app) for name, look in CHECKS.items())


def looked_at(name: str, look: Callable[[App], Check], app: App) -> Check:
    """Run one check; its own failure is a finding."""
    try:
        return look(app)
    except (OtrsdError, OSError) as error:
        text = str(error) or type(error).__name__
        remedy = "otrsd status"
        return Check(name=name, level=Level.CRITICAL, text=text, remedy=remedy)


def _daemon(app: App) -> Check:
    found = status.read(app.state)
    if found is None:
        text, remedy = "no daemon runs", "otrsd run, or systemctl start otrsd"
        return Check(name="daemon", level=Level.CRITICAL, text=text, remedy=remedy)
    # Without a death it waits for its first start: a namesake finishes a mail.
    dead = [p for p in found.processes if p.state == "waiting" and p.last_death]
    if dead:
        text = "; ".join(f"{p.name} is dead: {p.last_death}" for p in dead)
        return Check(
            name="daemon", level=Level.WARNING, text=text, remedy="otrsd status"
        )
    text = f"{found.state}, {len(found.processes)} processes"
    return Check(name="daemon", text=text, figures={"processes": len(found.processes)})


def _reload(app: App) -> Check:
    found = reload.read(app.state)
    if found.ok:
        return Check(name="reload", text="the configuration of the files is in force")
    return Check(
        name="reload",
        level=Level.WARNING,
        text=f"the last reload failed: {found.text.splitlines()[0]}",
        remedy="otrsd check, then otrsd reload",
    )


def _database(app: App) -> Check:
    found = schema.status(app.database)
    if not found.is_current:
        return Check(
            name="database",
            level=Level.CRITICAL,
            text=f"its schema is {found.current or 'not there'}, not {found.newest}",
            remedy="otrsd db upgrade",
        )
    return Check(name="database", text=f"answers, schema {found.current}")


def _clock(app: App) -> Check:
    with app.database.read() as connection:
        latest = figures.latest_change(connection)
        servers = figures.servers_clock(connection)
    now = app.clock.now()
    if latest is not None and latest > now + _AHEAD:
        return _wrong_clock(
            f"it says {now:%Y-%m-%d %H:%M} UTC, but the newest change of a "
            f"ticket is of {latest:%Y-%m-%d %H:%M} UTC: it was set back",
            Level.CRITICAL,
        )
    if servers is not None and abs(servers - now) > _AHEAD:
        return _wrong_clock(
            f"it says {now:%Y-%m-%d %H:%M:%S} UTC, the database's server "
            f"{servers:%Y-%m-%d %H:%M:%S} UTC: one of them is wrong"
        )
    if timekeeping.is_kept() is False:
        return _wrong_clock("no time server keeps it")
    return Check(name="clock", text=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _wrong_clock(text: str, level: Level = Level.WARNING) -> Check:
    remedy = "timedatectl timesync-status, or chronyc tracking"
    return Check(name="clock", level=level, text=text, remedy=remedy)


def _spool(app: App) -> Check:
    counts = app.spool.counts()
    waiting = sum(counts[s] for s in (State.INCOMING, State.ACTIVE, State.DEFERRED))
    oldest = app.spool.oldest_seconds if waiting else 0.0
    level = Level.CRITICAL if oldest > _SPOOL_BAD else Level.WARNING
    text = f"{waiting} waiting"
    return Check(
        name="spool",
        level=level if oldest > _SPOOL_ODD else Level.OK,
        text=f"{text}, the oldest for {oldest:.0f} s" if waiting else text,
        remedy="otrsd spool list" if oldest > _SPOOL_ODD else "",
        figures={"waiting": waiting, "oldest_seconds": round(oldest, 1)},
    )


def _held(app: App) -> Check:
    held = app.spool.counts()[State.HELD]
    return Check(
        name="held",
        level=Level.WARNING if held else Level.OK,
        text=f"{held} held",
        remedy="otrsd spool list --state held" if held else "",
        figures={"held": held},
    )


def _room(app: App) -> Check:
    app.spool.room()
    return Check(name="disk", text="there is room for mail")


def _index(app: App) -> Check:
    with app.database.read() as connection:
        lag = index_todo.lag(connection)
    found = app.index.state().state.value
    behind = (app.clock.now() - lag.oldest).total_seconds() if lag.oldest else 0.0
    bad = found not in {"ok", "rebuilding"}
    return Check(
        name="index",
        level=Level.WARNING if bad or behind > _INDEX_ODD else Level.OK,
        text=f"{found}, {lag.count} articles and {max(0.0, behind):.0f} s behind",
        remedy="otrsd reindex"
        if bad
        else "otrsd status"
        if behind > _INDEX_ODD
        else "",
        figures={"lag_seconds": round(max(0.0, behind), 1)},
    )


def _plugins(app: App) -> Check:
    failing = app.spool.plugin_health()
    return Check(
        name="plugins",
        level=Level.WARNING if failing else Level.OK,
        text="; ".join(f"{p.name} fails: {p.error}" for p in failing) or "none fails",
        remedy="otrsd plugins list" if failing else "",
        figures={"failing": len(failing)},
    )


#: In the order in which they are shown.
CHECKS: Mapping[str, Callable[[App], Check]] = {
    "daemon": _daemon,
    "reload": _reload,
    "database": _database,
    "clock": _clock,
    "spool": _spool,
    "held": _held,
    "disk": _room,
    "index": _index,
    "plugins": _plugins,
}
