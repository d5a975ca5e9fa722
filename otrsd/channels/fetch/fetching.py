"""All accounts of a node together, as a companion of the receiver.

In: the configuration and the intake. Out: nothing; returns once a stop was asked for
and every thread has ended or, where a server hangs in a way that nothing can end, some
seconds later. After a reload the next receiver waits here until this one is through:
the lock ``fetch.lock`` goes from one to the other, also when a process dies.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import SystemRandom

from otrsd.channels.fetch.account import Account, Surroundings
from otrsd.channels.fetch.book import BOOK_NAME, Book
from otrsd.channels.fetch.round import Tell
from otrsd.channels.fetch.wire import Patience
from otrsd.channels.intake import Intake
from otrsd.clock import Clock
from otrsd.config.models import Config
from otrsd.config.routes import Routes
from otrsd.errors import OtrsdError
from otrsd.model.envelope import Envelope

_LOCK_NAME = "fetch.lock"
#: Seconds between two looks at the lock, and that the threads get to end.
_LOOK_EVERY, _END_SECONDS = 0.5, 5.0
#: Large mails in memory at the same time.
_LARGE = 4


async def fetch_mail(
    config: Config,
    intake: Intake,
    clock: Clock,
    stop: asyncio.Event,
    *,
    tell: Tell,
    patience: Patience | None = None,
) -> None:
    """Visit every account of ``config`` until ``stop`` is set."""
    descriptor = await _locked(config.state / _LOCK_NAME, stop)
    if descriptor is None:
        return
    try:
        await asyncio.to_thread(_forget_others, config)
        await _run(_accounts(config, intake, clock, tell, patience), stop)
    finally:
        os.close(descriptor)


def _accounts(
    config: Config,
    intake: Intake,
    clock: Clock,
    tell: Tell,
    patience: Patience | None,
) -> Sequence[Account]:
    loop = asyncio.get_running_loop()
    routes = Routes(config)

    def keep(
        parcels: Sequence[tuple[str, Envelope, bytes]],
    ) -> Sequence[BaseException | None]:
        found = asyncio.run_coroutine_threadsafe(_stored(intake, parcels), loop)
        return found.result()

    around = Surroundings(
        state=config.state,
        root=config.root,
        clock=clock,
        is_ours=lambda address: routes.queue_of(address) is not None,
        keep=keep,
        tell=tell,
        chance=SystemRandom().random,
        room=threading.BoundedSemaphore(_LARGE),
        patience=patience or Patience(),
    )
    return [Account(name, each, around) for name, each in config.fetch.items()]


def _forget_others(config: Config) -> None:
    # Only a picture for `otrsd status`.
    with suppress(OtrsdError), closing(Book(config.state / BOOK_NAME)) as book:
        book.forget_others(config.fetch)


async def _stored(
    intake: Intake, parcels: Sequence[tuple[str, Envelope, bytes]]
) -> Sequence[BaseException | None]:
    answers = await asyncio.gather(
        *(
            intake.accept(envelope, (content,), id=spool_id)
            for spool_id, envelope, content in parcels
        ),
        return_exceptions=True,
    )
    return [each if isinstance(each, BaseException) else None for each in answers]


async def _run(accounts: Sequence[Account], stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    ended = [_start(account, loop) for account in accounts]
    await stop.wait()
    for account in accounts:
        account.stop()
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            for each in ended:
                await each.wait()


def _start(account: Account, loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Start a thread; the event is set when it has ended."""
    ended = asyncio.Event()

    def run() -> None:
        try:
            account.run()
        finally:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

    # A daemon: what hangs in a look-up of a name can't be waited for.
    threading.Thread(target=run, name=f"fetch {account.name}", daemon=True).start()
    return ended


async def _locked(path: Path, stop: asyncio.Event) -> int | None:
    """Take the lock; ``None`` if a stop comes first."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    while not stop.is_set():
        # A disk without an inode left keeps fetching waiting, and nothing else.
        with suppress(OSError):
            descriptor = os.open(path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
            else:
                return descriptor
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_EVERY)
    return None
