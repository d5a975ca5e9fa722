"""The ways in of one node, put together: listeners, submit socket, drop folder.

In: the configuration, the spool, the supervisor's :class:`Control`. Out: nothing;
:func:`run_receiver` returns once a stop was asked for and every mail in hand has its
answer. Fails with ``ConfigError`` where a listener can't be opened, and with
``TemporaryError`` where the spool is damaged: nothing listens then, so clients wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from otrsd.channels.drop import PipeSettings, make_drop_folder, move_drops
from otrsd.channels.heirloom import Heirloom
from otrsd.channels.intake import Intake
from otrsd.channels.receiver import Receiver, new_loop
from otrsd.channels.recipients import Recipients
from otrsd.channels.socket import SubmitSocket
from otrsd.clock import Clock
from otrsd.config.models import Config, Listener
from otrsd.config.routes import Routes
from otrsd.control import Control
from otrsd.counters import Counters
from otrsd.spool import Spool

#: Owes the admin a notice: what, reason, where to look.
Tell = Callable[[str, str, str], None]


def pipe_settings(config: Config) -> PipeSettings:
    """Return what ``pipe.json`` says: for ``init``, ``check``, ``run``, ``reload``."""
    routes = Routes(config)
    return PipeSettings(
        drop=config.state / "drop",
        socket=config.state / "submit.sock",
        max_size=_max_size(config),
        min_free=config.spool.min_free,
        accept=(
            *routes.addresses,
            "postmaster",
            *(f"postmaster@{domain}" for domain in sorted(routes.domains)),
        ),
        accept_any=bool(config.site.catch_all),
    )


def run_receiver(
    config: Config,
    spool: Spool,
    control: Control,
    clock: Clock,
    *,
    tell: Tell = lambda *_: None,
    counters: Counters | None = None,
) -> None:
    """Be the receiver role in this process until its control says stop.

    ``tell`` owes the admin a notice (what, reason, where to look); any thread calls it.
    """
    counted = counters or Counters()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_receive(config, spool, control, clock, tell, counted))


async def _receive(
    config: Config,
    spool: Spool,
    control: Control,
    clock: Clock,
    tell: Tell,
    counters: Counters,
) -> None:
    settings = pipe_settings(config)
    make_drop_folder(settings.drop)
    # Not one mail is taken into a spool that would lose it.
    await asyncio.to_thread(spool.examine)
    intake = Intake(spool, clock, counters=counters)

    async def drops(stop: asyncio.Event) -> None:
        await move_drops(settings.drop, intake, clock, stop)

    async def fetched(stop: asyncio.Event) -> None:
        # Only here: a site without accounts need not load it.
        from otrsd.channels.fetch.fetching import fetch_mail  # noqa: PLC0415

        await fetch_mail(config, intake, clock, stop, tell=tell)

    heirloom = Heirloom(config.state / "receiver.sock")
    heirloom.ask()
    receiver = Receiver(
        listen=config.listen,
        recipients=Recipients(config),
        intake=intake,
        control=control,
        clock=clock,
        # Bound once: the lazy logger would be put together anew for each line.
        log=structlog.get_logger().bind(),
        companions=(drops, fetched) if config.fetch else (drops,),
        counters=counters,
        heirloom=heirloom,
    )
    submit = SubmitSocket(intake, clock, max_size=settings.max_size)
    try:
        async with submit.listening(settings.socket, heirloom):
            await receiver.serve()
    finally:
        await intake.close()


def _max_size(config: Config) -> int:
    """Return the largest mail that any way takes; the pipe takes the same."""
    listeners = (config.listen.smtp, config.listen.lmtp)
    sizes = [listener.max_size for listener in listeners if listener is not None]
    return max(sizes, default=int(Listener.model_fields["max_size"].default))
