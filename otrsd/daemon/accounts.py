"""What can be wrong with fetching: the accounts as the book knows them, and a login.

In: an App. Out: checks, as in :mod:`otrsd.daemon.checks`. :func:`check_accounts` reads
the book alone; :func:`check_logins` really logs in, each in a thread, so that a server
that hangs does not hold up the others, and changes nothing over there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from otrsd.app import App
from otrsd.channels.fetch.account import Account, Surroundings
from otrsd.channels.fetch.book import read_accounts
from otrsd.channels.fetch.wire import Patience
from otrsd.daemon.checks import Check, Level
from otrsd.errors import OtrsdError

#: Seconds without a good visit from which on it is odd.
_ODD = 900.0
#: Seconds that a login may take here: a person waits.
_SECONDS = 15.0


def check_accounts(app: App) -> Check:
    """Tell whether mail is fetched."""
    now = app.clock.now().timestamp()
    known = [each for each in read_accounts(app.state) if each.name in app.config.fetch]
    bad = [each for each in known if each.error and now - each.succeeded_at > _ODD]
    waiting = sum(each.waiting for each in known)
    return Check(
        name="fetch",
        level=Level.WARNING if bad else Level.OK,
        text="; ".join(f"{each.name}: {each.error}" for each in bad)
        or f"{len(known)} of {len(app.config.fetch)} accounts visited",
        remedy="otrsd doctor" if bad else "",
        figures={"accounts": len(known), "waiting": waiting},
    )


def check_logins(app: App) -> Iterator[Check]:
    """Log in to each account."""
    around = Surroundings(
        state=app.state,
        root=app.config.root,
        clock=app.clock,
        is_ours=lambda _: False,
        keep=lambda _: (),
        tell=lambda *_: None,
        chance=lambda: 0.5,
        room=threading.Semaphore(),
        patience=Patience(silence=_SECONDS, command=_SECONDS),
    )
    accounts = [
        Account(name, settings, around) for name, settings in app.config.fetch.items()
    ]
    if accounts:
        with ThreadPoolExecutor(max_workers=len(accounts)) as threads:
            yield from threads.map(_check_login, accounts)


def _check_login(account: Account) -> Check:
    try:
        text = account.probe()
    except OtrsdError as error:
        return Check(
            name=f"fetch.{account.name}",
            level=Level.CRITICAL,
            text=str(error),
            remedy=f"otrsd config get fetch.{account.name}",
        )
    return Check(name=f"fetch.{account.name}", text=text)
