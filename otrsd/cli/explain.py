"""``otrsd explain``: who decided what about a mail, step by step."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otrsd.cli.output import octets_text, print_json, say
from otrsd.cli.site import Site
from otrsd.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.language.rules import Tried
    from otrsd.postmaster.explain import Explanation

_Row = tuple[str, str, str, float | None]
#: Stages that come after the rules have been asked, or are the rules themselves.
_AFTER_RULES = frozenset({"rule", "route", "amend"})
#: Stages that show that the mail came as far as the rules.
_SHOWS_RULES = _AFTER_RULES | {"find"}


@click.command()
@click.argument("what", metavar="FILE|-|TICKET|MESSAGE-ID|SPOOL-ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("-f", "--sender", default="", help="Envelope sender of a FILE's dry run.")
@click.option("-t", "--to", multiple=True, help="Envelope recipient of a dry run.")
@click.pass_obj
def explain(
    site: Site, what: str, *, as_json: bool, sender: str, to: Sequence[str]
) -> None:
    """Tell who decided what about a mail, in order.

    A FILE (or - for stdin) makes its journey in a dry run that leaves nothing
    behind. A mail that was delivered is told from its stored trace; of one that
    waits in the spool, the next attempt is tried dry.
    """
    octets = _octets(what)
    with site.app() as app:
        if octets is not None:
            told = [_of_file(app, octets, sender, to)]
        else:
            told = list(_of_known(app, what))
        if as_json:
            print_json([_value(each) for each in told])
            return
        for n, each in enumerate(told):
            if n:
                click.echo()
            for line in lines(each):
                say(line)


def _octets(what: str) -> bytes | None:
    """Return the content of the file that is named; ``None`` if it is no file."""
    if what == "-":
        return sys.stdin.buffer.read()
    path = Path(what)
    if not _is_file(path):
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{what}: the file can't be read: {error.strerror}. "
            f"Try: otrsd explain - < {what}"
        ) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # Too long, or with a NUL octet: no file has such a name.
        return False


def _of_file(app: App, octets: bytes, sender: str, to: Sequence[str]) -> Explanation:
    from otrsd.mime.parse import parse
    from otrsd.model.envelope import Envelope
    from otrsd.postmaster.explain import dry_run

    mail = parse(octets)
    author = mail.author.address if mail.author else ""
    envelope = Envelope(
        mail_from=sender or author,
        rcpt_tos=tuple(to) or tuple(each.address for each in (*mail.to, *mail.cc)),
        channel="pipe",
        received_at=app.clock.now(),
    )
    return dry_run(app.postmaster(), octets, envelope)


def _of_known(app: App, name: str) -> Iterator[Explanation]:
    """Yield what is known of the mails that ``name`` stands for."""
    from otrsd.cli.finding import is_storable, ticket_named
    from otrsd.postmaster.explain import dry_run, spool_ids, stored

    post = app.postmaster()
    bare = ticket_named(app, name).number if name.startswith("#") else name
    ids = spool_ids(post, bare) if is_storable(bare) else ()
    for spool_id in ids:
        yield _placed(app, spool_id, stored(post, spool_id))
    if ids:
        return
    try:
        entry, octets = app.spool.entry(name), app.spool.content(name)
    except NotFoundError:
        raise NotFoundError(
            f"there is nothing called {name!r}: no file, no ticket number, no "
            "Message-ID of a mail in a ticket, no mail in the spool. "
            "Try: otrsd ticket list, otrsd spool list, or otrsd trash list"
        ) from None
    yield dry_run(post, octets, entry.envelope)


def _placed(app: App, spool_id: str, told: Explanation) -> Explanation:
    """Let the end name the ticket that the mail stands in, as it is now."""
    from otrsd.store import ledger, tickets

    with app.database.read() as connection:
        entry = ledger.read(connection, [spool_id]).get(spool_id)
        if entry is None or entry.ticket_id is None:
            return told
        found = tickets.by_id(connection, entry.ticket_id)
    if found is None:
        return told
    copy = entry.outcome == ledger.DUPLICATE
    what = "dropped: a copy of an article" if copy else "article"
    now = f"now queue={found.queue}, state={found.state}, priority={found.priority}"
    return replace(told, end=f"{what} on ticket {found.number}, {now}")


def lines(told: Explanation) -> Iterator[str]:
    """Yield the explanation line by line (ux.md §1.4)."""
    mail, envelope = told.mail, told.envelope
    sender = mail.from_text or envelope.mail_from or "nobody"
    recipients = envelope.rcpt_tos or [each.address for each in mail.to]
    people = f"from {sender}  to {', '.join(recipients) or 'nobody'}"
    yield f"mail   {mail.message_id or '-'}  {people}  {octets_text(mail.size)}"
    if mail.subject:
        yield f"       {mail.subject}"
    rows = list(_rows(told))
    width = max((len(who) for _, who, _, _ in rows), default=0)
    for n, (stage, who, what, took) in enumerate(rows, start=1):
        time = "" if took is None else f"  {took:.1f} ms"
        yield f"{n:>2} {stage:<8} {who:<{width}}  {what}{time}"
    if told.rules is None:
        yield "   the rules have changed since: those that did not match are not told"
    yield f"result: {_end(told)}"


def _asked(told: Explanation) -> Sequence[Tried]:
    """Return the rules, unless the mail never came as far as them."""
    if not any(step.stage in _SHOWS_RULES for step in told.steps):
        return ()
    return told.rules or ()


def _rows(told: Explanation) -> Iterator[_Row]:
    """Yield stage, who, what and milliseconds of every step and every rule."""
    asked = _asked(told)
    effects: defaultdict[str, list[str]] = defaultdict(list)
    names = {tried.rule for tried in asked}
    steps = []
    for step in told.steps:
        if step.stage == "rule" and step.who in names:
            effects[step.who].append(step.what)
        else:
            steps.append(step)
    at = next((n for n, s in enumerate(steps) if s.stage in _AFTER_RULES), len(steps))
    yield from ((s.stage, s.who, s.what, s.milliseconds) for s in steps[:at])
    for tried in asked:
        yield "rule", tried.rule, _of_rule(tried, effects[tried.rule]), None
    yield from ((s.stage, s.who, s.what, s.milliseconds) for s in steps[at:])


def _of_rule(tried: Tried, effects: Sequence[str]) -> str:
    if effects:
        # What it did ends with its place already.
        return f"MATCH: {tried.why} -> {'; '.join(effects)}"
    if tried.matched:
        return f"MATCH: {tried.why} ({tried.origin})"
    # A rule above has ended the run: this one says so itself.
    not_asked = tried.why.startswith("not asked")
    return f"{'' if not_asked else 'no match: '}{tried.why} ({tried.origin})"


def _end(told: Explanation) -> str:
    if told.is_dry:
        return f"{told.end}; nothing was changed (dry run)"
    return told.end


def _value(told: Explanation) -> dict[str, Any]:
    """Return the explanation as ``--json`` prints it."""
    mail = told.mail
    return {
        "message_id": mail.message_id,
        "from": mail.from_text,
        "subject": mail.subject,
        "size": mail.size,
        "sha256": mail.sha256,
        "envelope": told.envelope.plain(),
        "steps": [asdict(step) for step in told.steps],
        "rules": None
        if told.rules is None
        else [asdict(each) for each in _asked(told)],
        "result": _end(told),
        "dry_run": told.is_dry,
    }
