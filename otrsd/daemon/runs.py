"""What each role does, made of an App's parts; the only place that wires them.

Everything here runs in a child process, after the fork: a run opens what it needs,
does the bookkeeping for a dead predecessor, says ready, works until it is asked to
stop, and closes what it opened.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from otrsd.app import App
from otrsd.channels.drop import make_drop_folder, write_pipe_json
from otrsd.channels.ways import pipe_settings, run_receiver
from otrsd.control import Control, Work
from otrsd.counters import FOLDER, Counters
from otrsd.daemon.roles import Role, Run, Wanted, arrange, postmasters
from otrsd.desk.notices import tell_admin
from otrsd.errors import OtrsdError
from otrsd.hooks import Hooks
from otrsd.postmaster.worker import Hand, Worker
from otrsd.relay.events import EventLane
from otrsd.relay.extract_lane import ExtractLane
from otrsd.relay.extractor import Extractor
from otrsd.relay.index_lane import run_index_lane
from otrsd.relay.mail_lane import MailLane
from otrsd.relay.patience import Patience
from otrsd.scheduler.timers import Scheduler


def roles_of(app: App, wanted: Wanted) -> tuple[Role, ...]:
    """Return the roles of this node."""
    alone = wanted.single or wanted.dev
    count = 1 if alone else postmasters(app.config.workers, os.cpu_count())
    names = [f"postmaster-{n}" for n in range(1, count + 1)]
    work: dict[str, Callable[..., None]] = {
        "receiver": receive,
        "postmaster": partial(carry, names=names),
        "index": keep_index,
        "scheduler": watch_time,
    }
    if app.config.site.read_attachments:
        work["extract"] = read_attachments
    if app.hooks.has("on_event"):
        work["relay"] = tell_events
    if app.config.listen.health is not None:
        work["health"] = tell_health
    if app.config.send is not None:
        work["mail"] = send_mail
    runs: Mapping[str, Run] = {
        name: partial(_closing, app.apart() if wanted.single else app, run)
        for name, run in work.items()
        if wanted.has(name)
    }
    return arrange(runs, postmasters=count)


def prepare_state(app: App) -> None:
    """Make the folders and files that other programs look for."""
    state = app.state
    state.mkdir(mode=0o711, parents=True, exist_ok=True)
    # Whoever an MTA runs the pipe as has to reach pipe.json and the socket by name;
    # nobody else can list the folder, and all else in it is ours alone.
    state.chmod(0o711)
    make_drop_folder(state / "drop")
    write_pipe_json(state / "pipe.json", pipe_settings(app.config))


def receive(app: App, control: Control, _predecessor: Work | None) -> None:
    """Run the ways in: SMTP, LMTP, the drop folder, the submit socket, fetching."""
    run_receiver(
        app.config,
        app.spool,
        control,
        app.clock,
        tell=partial(_tell, app),
        counters=counters_of(app, control),
    )


def carry(
    app: App, control: Control, predecessor: Work | None, *, names: list[str]
) -> None:
    """Run one postmaster."""
    if control.name == names[0]:
        # After a reload the pipe hears of new addresses only once they are in force.
        write_pipe_json(app.state / "pipe.json", pipe_settings(app.config))
    if predecessor is not None:
        held = app.spool.worker_died(control.name, predecessor)
        if held:
            tell_of_held(app, held)
    app.spool.recover([name for name in names if name != control.name])
    post = replace(app.postmaster(), counters=counters_of(app, control))
    worker = Worker(post, app.spool, control, structlog.get_logger())
    control.ready()
    worker.run()


def counters_of(app: App, control: Control) -> Counters:
    """Return the counters of this process, whose sums ``/metrics`` shows."""
    return Counters.open(app.state / FOLDER, control.name)


def tell_of_held(app: App, held: Sequence[str]) -> None:
    """Mail the admin that mails killed their worker; that it fails stops nothing."""
    reason = "a worker died or overran in it, three times"
    _tell(app, "A mail is held", reason, f"otrsd spool show {held[0]}")


def _tell(app: App, what: str, reason: str, look: str) -> None:
    try:
        tell_admin(app.desk(), app.letterhead(), what=what, reason=reason, look=look)
    except OtrsdError as error:
        structlog.get_logger().warning("admin.not_told", reason=str(error))


def keep_index(app: App, control: Control, _predecessor: Work | None) -> None:
    """Run the index lane."""
    run_index_lane(app.database, app.index, app.clock, control)


def tell_events(app: App, control: Control, _predecessor: Work | None) -> None:
    """Run the event lane of the relay."""
    hand = Hand(control)
    lane = EventLane(
        database=app.database,
        hooks=Hooks(app.hooks.plugins, hand.watch, counters=counters_of(app, control)),
        clock=app.clock,
        control=control,
        log=structlog.get_logger(),
    )
    control.ready()
    lane.run()


def read_attachments(app: App, control: Control, _predecessor: Work | None) -> None:
    """Run the extract lane of the relay."""
    lane = ExtractLane(
        database=app.database,
        clock=app.clock,
        control=control,
        log=structlog.get_logger(),
        extractor=Extractor(app.clock),
    )
    control.ready()
    lane.run()


def tell_health(app: App, control: Control, _predecessor: Work | None) -> None:
    """Run the health pages."""
    # Only here: no other role needs the library of the metrics.
    from otrsd.daemon.health import run_health  # noqa: PLC0415

    if app.config.listen.health is not None:
        run_health(app, app.config.listen.health, control)


def send_mail(app: App, control: Control, _predecessor: Work | None) -> None:
    """Run the mail lane of the relay."""
    smarthost = app.smarthost()
    if smarthost is None:
        raise AssertionError("the mail lane needs a smarthost")
    lane = MailLane(
        desk=app.desk(),
        submit=Patience(smarthost=smarthost, control=control),
        control=control,
        log=structlog.get_logger(),
    )
    control.ready()
    lane.run()


def watch_time(app: App, control: Control, predecessor: Work | None) -> None:
    """Run the scheduler."""
    scheduler = Scheduler(
        desk=app.desk(),
        hooks=app.hooks,
        default_queue=app.routes.default_queue,
        queues=tuple(app.config.queues),
        control=control,
        log=structlog.get_logger(),
        holder=f"{socket.gethostname()}/{os.getpid()}",
    )
    scheduler.put_off(predecessor)
    control.ready()
    scheduler.run()


def _closing(
    app: App,
    run: Callable[..., None],
    control: Control,
    predecessor: Work | None,
) -> None:
    try:
        run(app, control, predecessor)
    finally:
        app.close()
