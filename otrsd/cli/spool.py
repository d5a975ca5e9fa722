"""``otrsd spool``: the mails that wait, and those that wait for a person.

Mails of ours that wait to be sent (``--out``) are in :mod:`otrsd.cli.spool_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from otrsd.cli import spool_out
from otrsd.cli.ask import ALL, DECLINED, Asked, Asking, changing, do_each
from otrsd.cli.finding import zone_of
from otrsd.cli.output import (
    octets_text,
    print_facts,
    print_json,
    print_octets,
    print_table,
    say,
    tell,
)
from otrsd.cli.site import Site
from otrsd.errors import OtrsdError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.spool import Entry, State

#: More than a spool ever holds.
_EVERY = 10**9
_STATES = ("incoming", "active", "deferred", "held")


@click.group()
def spool() -> None:
    """Look at mails that wait or are held, and move them on."""


@spool.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("-j", "--jsonl", is_flag=True, help="Print JSON Lines, one a mail.")
@click.option("--out", is_flag=True, help="Mails of ours that are not sent yet.")
@click.option("--state", type=click.Choice(_STATES), help="Only mails in this state.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="At most so many mails.",
)
@click.pass_obj
def list_(
    site: Site, *, as_json: bool, jsonl: bool, out: bool, state: str | None, limit: int
) -> None:
    """List the mails in the spool, the oldest first; --out: those to be sent."""
    from otrsd.spool import State

    if out:
        if state:
            raise click.UsageError("--state is for mails that came in, not for --out")
        spool_out.print_waiting(site, as_json=as_json, jsonl=jsonl, limit=limit)
        return
    with site.app(schema=False, state=True) as app:
        wanted = State(state) if state else None
        entries = app.spool.entries(wanted, limit=limit + 1)
        more, entries = len(entries) > limit, entries[:limit]
        if jsonl:
            for entry in entries:
                print_json(_value(entry))
        elif as_json:
            print_json([_value(entry) for entry in entries])
        else:
            heading = ("id", "state", "received", "from", "size", "next", "reason")
            print_table(heading, [_row(entry) for entry in entries], zone_of(app))
        if more:
            tell("there are more; take a greater -n")


@spool.command()
@click.argument("spool_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--raw", is_flag=True, help="Print the mail itself, octet by octet.")
@click.pass_obj
def show(site: Site, spool_id: str, *, as_json: bool, raw: bool) -> None:
    """Show one mail in the spool, and why it is there."""
    from otrsd.mime.parse import parse

    with site.app(schema=False, state=True) as app:
        entry = app.spool.entry(spool_id)
        octets = app.spool.content(spool_id)
        if raw:
            print_octets(octets)
            return
        mail = parse(octets)
        if as_json:
            words = {"from": mail.from_text, "subject": mail.subject, "text": mail.text}
            print_json({**_value(entry), **words})
            return
        facts = (
            ("id", entry.id),
            ("state", entry.state),
            ("reason", entry.reason),
            ("received", entry.received_at),
            ("by", f"{entry.envelope.channel} {entry.envelope.peer}".strip()),
            ("next attempt", entry.next_attempt_at),
            ("tries", entry.tries or ""),
            ("strikes", entry.strikes or ""),
            ("in hand of", entry.worker),
            ("leaves out", sorted(entry.without)),
            ("sender", entry.envelope.mail_from or "<>"),
            ("recipients", entry.envelope.rcpt_tos),
            ("from", mail.from_text),
            ("subject", mail.subject),
            ("size", octets_text(entry.size)),
            ("sha256", entry.sha256),
        )
        print_facts(facts, zone_of(app))
        if mail.text.strip():
            click.echo()
            say(mail.text.strip("\n"))


@spool.command(cls=Asking)
@click.argument("spool_ids", metavar="ID...|ALL", nargs=-1, required=True)
@click.option("--out", is_flag=True, help="Of the mails of ours that are not sent.")
@changing
@click.pass_obj
def retry(site: Site, spool_ids: Sequence[str], *, out: bool, asked: Asked) -> int:
    """Let deferred or held mails run now, under the same verdicts.

    ALL: every mail that is deferred or held; with --out, every one to be sent.
    """
    from otrsd.spool import State

    if out:
        return spool_out.retry(site, spool_ids, asked)

    def deed(app: App, spool_id: str) -> str:
        app.spool.retry(spool_id)
        return f"retry {spool_id}: it waits for a worker"

    states = (State.DEFERRED, State.HELD)
    return _change(site, spool_ids, asked, ("retry", states), deed)


@spool.command(cls=Asking)
@click.argument("spool_ids", metavar="ID...|ALL", nargs=-1, required=True)
@changing
@click.pass_obj
def release(site: Site, spool_ids: Sequence[str], *, asked: Asked) -> int:
    """Let held mails pass: what held them does not count again.

    ALL: every mail that is held.
    """
    from otrsd.spool import State

    def deed(app: App, spool_id: str) -> str:
        reason = app.spool.entry(spool_id).reason
        _record(app, site, spool_id, reason)
        app.spool.release(spool_id)
        return f"released {spool_id}: it waits for a worker"

    return _change(site, spool_ids, asked, ("release", (State.HELD,)), deed)


@spool.command(cls=Asking)
@click.argument("spool_ids", metavar="ID...|ALL", nargs=-1, required=True)
@click.option("--out", is_flag=True, help="Of the mails of ours that are not sent.")
@changing
@click.pass_obj
def discard(site: Site, spool_ids: Sequence[str], *, out: bool, asked: Asked) -> int:
    """Move mails into the trash, from where they can be restored.

    ALL: every mail that is held. With --out mails are never sent, for good; ALL: those
    that are given up.
    """
    from otrsd.desk.trash import discard_held
    from otrsd.spool import State

    if out:
        return spool_out.discard(site, spool_ids, asked)

    def deed(app: App, spool_id: str) -> str:
        keep_until = app.clock.now() + app.config.trash.keep
        discard_held(app.desk(), app.spool, spool_id, site.who, keep_until)
        return f"discarded {spool_id}: it is in the trash"

    return _change(site, spool_ids, asked, ("discard", (State.HELD,)), deed)


def _change(
    site: Site,
    names: Sequence[str],
    asked: Asked,
    what: tuple[str, Sequence[State]],
    deed: Callable[[App, str], str],
) -> int:
    """Find the mails, ask, do it to each."""
    verb, states = what
    # A retry needs no database: it may be what the mails wait for.
    with site.app(schema=verb != "retry", state=True) as app:
        entries, missing = _named(app, names, states)
        if not entries and not missing:
            tell(f"nothing to do: no mail is {' or '.join(states)}")
            return 0
        if not entries:
            raise missing[0]
        if not asked.agrees(verb, [_line(entry) for entry in entries]):
            return 0 if asked.dry_run else DECLINED
        code = do_each([e.id for e in entries], lambda each: deed(app, each))
        for error in missing:
            tell(str(error))
        return 5 if missing else code


def _named(
    app: App, names: Sequence[str], states: Sequence[State]
) -> tuple[list[Entry], list[OtrsdError]]:
    """Return the mails that are meant, and an error for each that is not there."""
    if ALL in names:
        found = [e for s in states for e in app.spool.entries(s, limit=_EVERY)]
        return sorted(found, key=lambda entry: entry.received_at), []
    entries: list[Entry] = []
    missing: list[OtrsdError] = []
    for name in dict.fromkeys(names):
        try:
            entries.append(app.spool.entry(name))
        except OtrsdError as error:
            missing.append(error)
    return entries, missing


def _record(app: App, site: Site, spool_id: str, reason: str) -> None:
    """Write down who let a held mail pass."""
    from otrsd.store.history import Change

    who = site.who
    data = {"did": "released", "spool_id": spool_id, "reason": reason}
    with app.desk().unit() as unit:
        unit.record(Change(type="Misc", actor=who.actor, cause=who.cause, data=data))


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.id,
        entry.state,
        entry.received_at,
        entry.envelope.mail_from or "<>",
        octets_text(entry.size),
        entry.next_attempt_at,
        entry.reason,
    )


def _line(entry: Entry) -> str:
    sender = entry.envelope.mail_from or "<>"
    reason = f"  ({entry.reason})" if entry.reason else ""
    return f"{entry.id}  {entry.state}  from {sender}{reason}"


def _value(entry: Entry) -> dict[str, Any]:
    return asdict(entry)
