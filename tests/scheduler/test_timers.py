from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from otrsd.clock import FakeClock
from otrsd.config.load import load as load_config
from otrsd.control import Work
from otrsd.desk.unit import Desk
from otrsd.hooks import Hooks, load_plugins
from otrsd.model.changes import PluginState
from otrsd.model.event import Event
from otrsd.relay.events import EventLane
from otrsd.scheduler.timers import Scheduler
from otrsd.store import history, outbox, plugin_state, tickets
from tests.controls import Quiet

OPENS = """
from otrsd import Changes, hookimpl
@hookimpl
def on_due(key, state, tickets):
    return Changes(open_ticket=True, queue="ops", title=f"{key} is bad since downtime")
"""
RAISES = """
from otrsd import hookimpl
@hookimpl
def on_due(key, state, tickets):
    raise ValueError("oops")
@hookimpl
def on_event(event):
    raise ValueError("oops")
"""
OBSERVES = """
from pathlib import Path
from otrsd import hookimpl
@hookimpl
def on_event(event):
    with open(Path(__file__).with_suffix(".seen"), "a") as file:
        file.write(f"{event.type} {event.id}\\n")
"""


@pytest.fixture
def plugin() -> str:
    return OPENS


@pytest.fixture
def hooks(tmp_path: Path, plugin: str) -> Hooks:
    (tmp_path / "otrsd.yaml").write_text("queues: {ops: {}}\n")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "probe.py").write_text(plugin)
    config = load_config(tmp_path / "otrsd.yaml", {})
    return Hooks(load_plugins(config, shipped=None, packages=()).plugins)


@pytest.fixture
def scheduler(desk: Desk, hooks: Hooks) -> Scheduler:
    return Scheduler(
        desk=desk,
        hooks=hooks,
        default_queue="ops",
        queues=("ops",),
        control=Quiet(name="scheduler"),
        log=structlog.get_logger(),
        holder="here",
    )


def remember(desk: Desk, in_: timedelta) -> None:
    state = PluginState(value={"n": 1}, due_at=desk.clock.now() + in_)
    with desk.database.write() as connection:
        plugin_state.write(connection, "probe", {"web1|HTTP": state})


def titles(desk: Desk) -> list[str]:
    with desk.database.read() as connection:
        return [t.title for t in tickets.read(connection, tickets.TICKETS)]


def test_a_timer_fires_once_when_it_is_due(
    desk: Desk, scheduler: Scheduler, clock: FakeClock
):
    remember(desk, timedelta(minutes=10))
    scheduler.turn()
    assert titles(desk) == []
    clock.advance(timedelta(minutes=11))
    scheduler.turn()
    scheduler.turn()
    assert titles(desk) == ["web1|HTTP is bad since downtime"]


@pytest.mark.parametrize("plugin", [RAISES])
def test_a_timer_whose_plugin_fails_is_put_off(
    desk: Desk, scheduler: Scheduler, clock: FakeClock
):
    remember(desk, timedelta(0))
    scheduler.turn()
    with desk.database.read() as connection:
        assert not plugin_state.due(connection, clock.now(), 9)
        assert plugin_state.due(connection, clock.now() + timedelta(minutes=6), 9)


LIES = """
from otrsd import Changes, hookimpl
@hookimpl
def on_due(key, state, tickets):
    return [
        Changes(open_ticket=True, queue="nowhere", title="\\udcff", open_key="k" * 250),
        Changes(open_ticket=True, title="second", open_key="k" * 250),
        Changes(ticket_id=2**70, note="x"),
    ]
"""


@pytest.mark.parametrize("plugin", [LIES])
def test_a_timer_whose_plugin_lies_opens_what_is_possible(
    desk: Desk, scheduler: Scheduler
):
    remember(desk, timedelta(0))
    scheduler.turn()
    with desk.database.read() as connection:
        found = tickets.read(connection, tickets.TICKETS)
    assert [t.queue for t in found] == ["ops", "ops"]
    assert sorted(t.open_key is None for t in found) == [False, True]


def test_a_timer_that_cannot_be_written_stops_no_other(
    desk: Desk, scheduler: Scheduler, clock: FakeClock
):
    import sqlalchemy as sa

    remember(desk, timedelta(0))
    with desk.database.write() as connection:
        # The next row of the history is there already: its insert fails.
        history.append(
            connection,
            [history.Change(type="Misc", actor="x", cause="x")],
            history.Seal(at=clock.now(), node="x", key=b"x"),
            b"0" * 16,
        )
        connection.execute(sa.text("UPDATE history_head SET seq = 0"))
    scheduler.turn()
    with desk.database.read() as connection:
        assert not plugin_state.due(connection, clock.now(), 9)


def test_another_node_s_scheduler_looks_on(
    desk: Desk, scheduler: Scheduler, clock: FakeClock
):
    remember(desk, timedelta(0))
    scheduler.turn()
    other = replace(scheduler, holder="elsewhere")
    remember(desk, timedelta(0))
    other.turn()
    assert len(titles(desk)) == 1


def test_a_plugin_that_killed_the_scheduler_is_put_off(
    desk: Desk, scheduler: Scheduler, clock: FakeClock
):
    remember(desk, timedelta(0))
    scheduler.put_off(Work(stage="on_due", plugin="probe", alone=True))
    scheduler.turn()
    assert titles(desk) == []


def lane(desk: Desk, hooks: Hooks, clock: FakeClock) -> EventLane:
    return EventLane(
        database=desk.database,
        hooks=hooks,
        clock=clock,
        control=Quiet(name="scheduler"),
        log=structlog.get_logger(),
    )


def one_ticket(desk: Desk, hooks: Hooks) -> None:
    from otrsd.desk.tickets import NewArticle, Who, create
    from otrsd.model.article import ArticleKind, SenderType
    from otrsd.model.changes import Changes

    note = NewArticle(
        kind=ArticleKind.NOTE,
        sender_type=SenderType.SYSTEM,
        visible_to_customer=False,
    )
    observed = replace(desk, observers=hooks.plugins_with("on_event"))
    with observed.unit() as unit:
        who = Who(actor="root", cause="cli")
        create(unit, Changes(queue="ops", title="x"), note, who)


@pytest.mark.parametrize("plugin", [OBSERVES])
def test_an_observer_hears_of_each_committed_change(
    desk: Desk, hooks: Hooks, clock: FakeClock, tmp_path: Path
):
    one_ticket(desk, hooks)
    assert lane(desk, hooks, clock).turn()
    seen = (tmp_path / "plugins" / "probe.seen").read_text()
    assert seen == "NewTicket 1\n"
    assert not lane(desk, hooks, clock).turn()


@pytest.mark.parametrize("plugin", [RAISES])
def test_a_failing_observer_is_asked_again_later(
    desk: Desk, hooks: Hooks, clock: FakeClock
):
    one_ticket(desk, hooks)
    assert lane(desk, hooks, clock).turn()
    assert not lane(desk, hooks, clock).turn()
    clock.advance(timedelta(minutes=2))
    assert lane(desk, hooks, clock).turn()
    with desk.database.read() as connection:
        assert outbox.count(connection) == 1


def test_an_event_survives_its_stored_form():
    from otrsd.relay.events import event_of

    payload = (
        '{"id": 7, "type": "Move", "at": "2026-11-23 10:00:00+00:00", "actor": "a",'
        ' "cause": "cli", "ticket_id": 1, "article_id": null, "data": {"new": "x"}}'
    )
    event: Any = event_of(payload)
    assert isinstance(event, Event)
    assert event.at.tzinfo is not None
