"""Mails that kill, and plugins that fail: the others must not notice.

One run, two workers, fifty good mails. Among them is one that kills whoever parses it
(core's own fault: held), and six of which a plugin raises, hangs or exits the process,
in ``amend_ticket`` (a ticket without the plugin, tagged ``plugin-failed``) and in
``screen_mail`` (held: no verdict is not a clean verdict).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from bench.ledger import ACK, INTENT, Reader, Writer
from bench.reckoning import Reckoning, reckon
from bench.sabotaged import POISON
from bench.senders import Parcel, Spec, by_smtp
from bench.site import Daemon, Site, Wishes, composed, make_site, running
from bench.talk import say
from bench.waiting import CLOCK, NotInTimeError, until
from otrsd.app import App
from otrsd.spool import Entry, State
from otrsd.store.tables import article, ticket_tag

GOOD = 49
#: Seconds in which the good ones must be tickets: one in whose batch a plugin hangs
#: waits until its worker is ended, after 30 s.
OTHERS_GO_ON = 45.0
#: Two overruns of 30 s and what lies between.
ALL_SETTLED = 110.0
_WAYS: Mapping[str, str] = {
    "raises": 'raise RuntimeError("broken on purpose")',
    "hangs": "threading.Event().wait()",
    "exits": "os._exit(0)",
}
_PLUGIN = '''"""A plugin that {way} in {hook}, for the mail that asks for it."""

import os
import threading

from otrsd import hookimpl


@hookimpl
def {hook}({arguments}):
    if mail.subject == "{name}":
        {code}
    return None
'''
_ARGUMENTS = {"amend_ticket": "mail, draft", "screen_mail": "mail, envelope"}


def faults(folder: Path, *, seed: int) -> Reckoning:
    """Run it; what went otherwise stands in ``wrong``."""
    names = {f"{hook}_{way}": hook for hook in _ARGUMENTS for way in _WAYS}
    wishes = Wishes(workers=2, plugins={f"{n}.py": _plugin(n) for n in names})
    site = make_site(folder / "site", wishes)
    command = [sys.executable, "-m", "bench.sabotaged", "poison"]
    with running(Daemon(site, command=command)) as daemon, composed(site) as app:
        ledger = _send_all(site, folder / "ledger", list(names), seed)
        began = CLOCK.monotonic()
        good = {f"good {n}" for n in range(GOOD)}
        until(
            "the good mails are tickets",
            lambda: good <= _subjects(app),
            seconds=OTHERS_GO_ON,
        )
        say(f"{GOOD} good mails are tickets after {CLOCK.monotonic() - began:.1f} s")
        until(
            "every bad mail is settled",
            lambda: not _waiting(app),
            seconds=ALL_SETTLED,
            every=0.25,
        )
        say(f"every bad mail is settled after {CLOCK.monotonic() - began:.1f} s")
        if daemon.stop() != 0:
            raise NotInTimeError(f"the daemon did not stop well:\n{daemon.tail()}")
        found = reckon(app, ledger)
        wrong = [*_wrong(app, names)]
    return replace(found, wrong=(*found.wrong, *wrong))


def _plugin(name: str) -> str:
    hook, _, way = name.rpartition("_")
    return _PLUGIN.format(
        name=name, hook=hook, way=way, code=_WAYS[way], arguments=_ARGUMENTS[hook]
    )


def _send_all(site: Site, path: Path, bad: list[str], seed: int) -> Reader:
    """Send the bad mails among the good ones."""
    book = Writer(path)
    spec = Spec(
        smtp=site.smtp,
        lmtp=site.lmtp,
        config=str(site.config),
        ledger=str(path),
        seed=seed,
    )
    subjects = [f"good {n}" for n in range(GOOD)]
    for number, subject in enumerate(["poison", *bad]):
        subjects.insert(5 * (number + 1), subject)
    for subject in subjects:
        parcel = _parcel(subject)
        book.write(INTENT, parcel.key, "smtp")
        reply = by_smtp(spec, parcel)
        if not reply.startswith("250"):
            raise NotInTimeError(f"{subject} was answered with {reply!r}")
        book.write(ACK, parcel.key, "smtp", reply)
    book.close()
    return Reader(path).read()


def _parcel(subject: str) -> Parcel:
    name = subject.replace(" ", "-")
    deadly = POISON.decode() + "\r\n" if subject == "poison" else ""
    content = (
        f"From: {name}@people.example\r\nTo: support@example.com\r\n"
        f"Subject: {subject}\r\nMessage-ID: <{name}@people.example>\r\n{deadly}"
        "\r\nHello.\r\n"
    )
    return Parcel(
        message_id=f"<{name}@people.example>",
        sender=f"{name}@people.example",
        recipients=("support@example.com",),
        content=content.encode(),
    )


def _subjects(app: App) -> set[str]:
    with app.database.read() as connection:
        return set(connection.execute(sa.select(article.c.subject)).scalars())


def _waiting(app: App) -> int:
    return sum(n for state, n in app.spool.counts().items() if state is not State.HELD)


def _wrong(app: App, names: Mapping[str, str]) -> list[str]:
    held = {each.envelope.mail_from.partition("@")[0] for each in _held(app)}
    wanted = {name for name, hook in names.items() if hook == "screen_mail"}
    wrong = [f"held: {held}, not {wanted | {'poison'}}"]
    wrong = wrong if held != wanted | {"poison"} else []
    tagged = sa.select(article.c.subject).join(
        ticket_tag, ticket_tag.c.ticket_id == article.c.ticket_id
    )
    with app.database.read() as connection:
        rows = connection.execute(tagged.where(ticket_tag.c.tag == "plugin-failed"))
        marked = set(rows.scalars())
    amended = set(names) - wanted
    if marked != amended:
        wrong.append(f"tagged plugin-failed: {marked}, not {amended}")
    return wrong


def _held(app: App) -> list[Entry]:
    return list(app.spool.entries(State.HELD))
