"""``otrsd status``: what runs, what waits, what fails; works with the daemon down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otrsd.cli.output import counted, print_json, say, span
from otrsd.cli.site import Site
from otrsd.errors import OtrsdError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.clock import Clock

#: The index is behind, not just busy, from this on.
_BEHIND = 60.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(site: Site, *, as_json: bool) -> int:
    """Show processes, spool, index and failing plugins.

    Exit 1 where something needs a person: no daemon runs, a process is dead, a
    plugin fails, the index or the database is away, the configuration is broken.
    """
    with site.entered() as state:
        value = picture(site, state)
    if as_json:
        print_json(value)
    else:
        for line in _lines(value):
            say(line)
    return 1 if value["problems"] else 0


def picture(site: Site, state: Path) -> dict[str, Any]:
    """Return all that ``--json`` prints; each part survives the loss of another."""
    from otrsd.clock import SystemClock

    clock = SystemClock()
    value: dict[str, Any] = {"state": str(state), "problems": []}
    _add_daemon(value, state)
    _add_spool(value, state, clock)
    _add_accounts(value, state, clock)
    _add_desk(value, site, clock)
    return value


def _add_daemon(value: dict[str, Any], state: Path) -> None:
    from otrsd.daemon.status import read

    found = read(state)
    value["daemon"] = {"running": found is not None}
    value["processes"] = []
    if found is None:
        value["problems"].append("no daemon runs. Try: otrsd run")
        return
    value["daemon"] |= {"pid": found.pid, "state": found.state, "since": found.since}
    value["processes"] = [asdict(process) for process in found.processes]
    value["problems"] += [
        f"{process.name} is dead: {process.last_death}"
        for process in found.processes
        if not process.pid and process.state != "stopped"
    ]


def _add_spool(value: dict[str, Any], state: Path, clock: Clock) -> None:
    from otrsd.spool import Spool, State

    empty = dict.fromkeys((s.value for s in State), 0) | {"oldest_seconds": 0}
    dropped = {"dropped": _dropped(state)}
    value["spool"] = empty | dropped
    value["plugins"] = {"failing": []}
    if not (state / "spool.db").exists():
        return
    spool = Spool(state / "spool.db", clock)
    try:
        counts = spool.counts()
        value["spool"] = {s.value: number for s, number in counts.items()} | dropped
        value["spool"]["oldest_seconds"] = round(spool.oldest_seconds, 1)
        failing = spool.plugin_health()
    except OtrsdError as error:
        value["problems"].append(f"the spool can't be read: {error}")
        return
    finally:
        spool.close()
    value["plugins"] = {"failing": [asdict(each) for each in failing]}
    value["problems"] += [f"plugin {each.name} fails: {each.error}" for each in failing]


def _add_accounts(value: dict[str, Any], state: Path, clock: Clock) -> None:
    """Add how the accounts fare from which mail is fetched."""
    from otrsd.channels.fetch.book import read_accounts

    value["accounts"] = []
    try:
        accounts = read_accounts(state)
    except OtrsdError as error:
        value["problems"].append(str(error))
        return
    now = clock.now().timestamp()
    for each in accounts:
        known = asdict(each)
        for key in ("succeeded_at", "failed_at"):
            at = known.pop(key)
            known[key.replace("_at", "_seconds_ago")] = (
                round(max(0.0, now - at), 1) if at else None
            )
        value["accounts"].append(known)
        if each.error:
            value["problems"].append(f"account {each.name}: {each.error}")


def _dropped(state: Path) -> int:
    """Count what `otrsd pipe` has written and no daemon has fetched yet."""
    from otrsd.ids import is_id

    try:
        return sum(is_id(path.name) for path in (state / "drop").iterdir())
    except OSError:
        return 0


def _add_desk(value: dict[str, Any], site: Site, clock: Clock) -> None:
    """Add the index; it takes the configuration and the database to know it."""
    value["index"] = {"state": "unknown", "waiting": None, "lag_seconds": None}
    if not Path(value["state"]).is_dir():
        return
    with ExitStack() as stack:
        try:
            app = stack.enter_context(site.app())
            value["index"] = _index(app, clock)
        except OtrsdError as error:
            value["problems"].append(str(error))
            return
    index = value["index"]
    if index["state"] not in {"ok", "rebuilding"}:
        reason = f": {index['reason']}" if index["reason"] else ""
        value["problems"].append(f"the index is {index['state']}{reason}")
    elif index["lag_seconds"] > _BEHIND:
        value["problems"].append(f"the index is {span(index['lag_seconds'])} behind")


def _index(app: App, clock: Clock) -> dict[str, Any]:
    from otrsd.store import index_todo

    with app.database.read() as connection:
        lag = index_todo.lag(connection)
    condition = app.index.state()
    return {
        "state": condition.state.value,
        "reason": condition.reason,
        "waiting": lag.count,
        "lag_seconds": _age(lag.oldest, clock),
        "being_rebuilt": app.index.being_rebuilt(),
        "done": condition.done,
        "total": condition.total,
    }


def _age(since: datetime | None, clock: Clock) -> float:
    if since is None:
        return 0.0
    return round(max(0.0, (clock.now() - since).total_seconds()), 1)


def _lines(value: Mapping[str, Any]) -> Iterator[str]:
    daemon = value["daemon"]
    if daemon["running"]:
        yield f"daemon   {daemon['state']}, process {daemon['pid']}"
    else:
        yield "daemon   not running"
    for each in value["processes"]:
        yield f"         {_process(each)}"
    spool = value["spool"]
    waiting = spool["incoming"] + spool["active"] + spool["deferred"]
    oldest = f", the oldest for {span(spool['oldest_seconds'])}" if waiting else ""
    details = ", ".join(f"{spool[n]} {n}" for n in ("incoming", "active", "deferred"))
    yield f"spool    {details}{oldest}"
    if spool["dropped"]:
        dropped = counted(spool["dropped"], "mail")
        yield f"         {dropped} by pipe, not fetched by the daemon yet"
    held = " (otrsd spool list --state held)" if spool["held"] else ""
    yield f"held     {counted(spool['held'], 'mail')}{held}"
    for each in value["accounts"]:
        yield f"fetch    {_of_account(each)}"
    yield f"index    {_of_index(value['index'])}"
    failing = value["plugins"]["failing"]
    yield f"plugins  {len(failing) or 'none'} failing"
    for problem in value["problems"]:
        yield f"problem: {problem}"


def _process(each: Mapping[str, Any]) -> str:
    at = each["stage"] + (f" in {each['plugin']}" if each["plugin"] else "")
    busy = f", {at}" if at else ""
    again = f", {counted(each['restarts'], 'restart')}" if each["restarts"] else ""
    death = f", last death: {each['last_death']}" if each["last_death"] else ""
    return f"{each['name']:<14} {each['pid']:>7}  {each['state']}{busy}{again}{death}"


def _of_account(each: Mapping[str, Any]) -> str:
    ago = each["succeeded_seconds_ago"]
    visited = "never visited" if ago is None else f"visited {span(ago)} ago"
    failing = ", fails" if each["error"] else ""
    return (
        f"{each['name']}: {visited}{failing}, {each['fetched']} fetched,"
        f" {each['waiting']} waiting there"
    )


def _of_index(index: Mapping[str, Any]) -> str:
    if index["waiting"] is None:
        return str(index["state"])
    if index["state"] == "rebuilding":
        return f"rebuilding: {index['done']:,} of {index['total']:,} articles"
    lag = f", {span(index['lag_seconds'])} behind" if index["waiting"] else ""
    rebuilt = ", a new one is being built" if index["being_rebuilt"] else ""
    waiting = counted(index["waiting"], "article")
    return f"{index['state']}, {waiting} waiting{lag}{rebuilt}"
