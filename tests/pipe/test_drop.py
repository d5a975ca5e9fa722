from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from otrsd.channels.drop import (
    DAMAGED,
    DropMover,
    PipeSettings,
    move_drops,
    write_pipe_json,
)
from otrsd.channels.intake import Intake
from otrsd.clock import FakeClock
from otrsd.spool import Spool
from otrsd.spool.room import Floors

Pipe = Callable[..., "subprocess.CompletedProcess[bytes]"]
Finished = Callable[[], list[Path]]
Log = list["structlog.typing.EventDict"]


@pytest.fixture
def move(drop: Path, intake: Intake, clock: FakeClock) -> Callable[..., Log]:
    """Look at the folder three times, as the receiver does; return what is logged."""

    def run(taker: Intake = intake, between: Callable[[], object] = int) -> Log:
        async def main() -> None:
            mover = DropMover(drop, taker, clock)
            for _ in range(3):
                await mover.look()
                between()
            await taker.close()

        with capture_logs() as logged:
            asyncio.run(main())
        return logged

    return run


Move = Callable[..., Log]


def test_mails_move_in_the_order_of_their_arrival(
    pipe: Pipe, move: Move, spool: Spool, finished: Finished
):
    for content in (b"one", b"two", b"three"):
        pipe(content=content)
    # The time of arrival decides, not the name.
    for number, path in enumerate(reversed(finished())):
        os.utime(path, (number, number))
    names = [path.name for path in finished()]
    logged = move()
    entries = spool.entries()
    assert [entry.id for entry in entries] == names[::-1]
    assert {entry.envelope.channel for entry in entries} == {"pipe"}
    assert [event["event"] for event in logged] == ["mail.stored"] * 3
    assert finished() == []


def test_a_mail_that_comes_between_two_looks_is_seen(
    pipe: Pipe, move: Move, spool: Spool, finished: Finished
):
    move(between=lambda: spool.entries() or pipe())
    assert len(spool.entries()) == 1
    assert finished() == []


def test_the_mover_stops_when_it_is_told(
    drop: Path, intake: Intake, clock: FakeClock, pipe: Pipe, finished: Finished
):
    async def main() -> None:
        stop = asyncio.Event()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(move_drops(drop, intake, clock, stop))
            await asyncio.sleep(0)
            stop.set()
        await intake.close()

    pipe()
    asyncio.run(main())
    assert finished() == []


def test_a_move_that_was_cut_off_is_repeated_without_a_double(
    pipe: Pipe, move: Move, spool: Spool, finished: Finished, tmp_path: Path
):
    pipe()
    (path,) = finished()
    shutil.copy2(path, tmp_path / "kept")
    move()
    shutil.copy2(tmp_path / "kept", path)
    move(Intake(spool, FakeClock()))
    assert [entry.id for entry in spool.entries()] == [path.name]
    assert finished() == []


def _cut(content: bytes) -> bytes:
    return content[:-6]


def _zeros(content: bytes) -> bytes:
    return content[:300] + bytes(len(content) - 300)


def _swap(content: bytes) -> bytes:
    return content.replace(b"It works", b"it works")


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _zeros,
        _swap,
        lambda content: content + b"more",
        lambda _: b"",
        lambda _: b"[1, 2]\nEND\n",
        lambda content: content.replace(b'"otrsd": 1', b'"otrsd": 9'),
        lambda content: content.replace(b'"rcpt_tos": [', b'"rcpt_tos": ["a\\nb"'),
    ],
)
def test_a_damaged_file_is_kept_and_named_and_stops_nobody(
    pipe: Pipe,
    move: Move,
    spool: Spool,
    finished: Finished,
    drop: Path,
    damage: Callable[[bytes], bytes],
):
    pipe()
    (bad,) = finished()
    content = damage(bad.read_bytes())
    bad.write_bytes(content)
    pipe()
    logged = move()
    assert (drop / DAMAGED / bad.name).read_bytes() == content
    assert len(spool.entries()) == 1
    (event,) = (event for event in logged if event["event"] == "mail.held")
    assert event["mail_id"] == bad.name


def test_a_file_that_cannot_be_read_for_now_is_left_where_it_is(
    pipe: Pipe, intake: Intake, clock: FakeClock, finished: Finished, drop: Path
):
    pipe()
    mover = DropMover(drop, intake, clock)
    names = [path.name for path in finished()]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        looked, found = mover._read(names)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (looked, found) == (1, [])
    assert finished()
    assert not list((drop / DAMAGED).iterdir())


def test_a_link_is_never_followed(
    move: Move, spool: Spool, finished: Finished, drop: Path, tmp_path: Path
):
    (tmp_path / "secret").write_text("secret")
    (drop / ("0" * 26)).symlink_to(tmp_path / "secret")
    move()
    assert not list(drop.glob("0*"))
    assert spool.entries() == ()


def test_a_full_spool_leaves_the_files_where_they_are(
    pipe: Pipe, move: Move, finished: Finished, tmp_path: Path, clock: FakeClock
):
    pipe()
    full = Spool(tmp_path / "full.db", clock, floors=Floors(max_size=1))
    logged = move(Intake(full, clock))
    assert len(finished()) == 1
    assert {event["event"] for event in logged} == {"mail.rejected"}
    full.close()


def test_an_unfinished_file_of_yesterday_is_named_once_and_kept(
    move: Move, drop: Path, clock: FakeClock
):
    left = drop / "tmp" / ("0" * 26)
    left.write_bytes(b"half")
    yesterday = (clock.now() - timedelta(days=2)).timestamp()
    os.utime(left, (yesterday, yesterday))
    named = move()
    assert [event["path"] for event in named] == [str(left)]
    assert left.exists()


def test_pipe_json_is_json_that_anybody_may_read(
    tmp_path: Path, settings: PipeSettings
):
    path = tmp_path / "pipe.json"
    write_pipe_json(path, settings)
    assert json.loads(path.read_text())["drop"] == str(tmp_path / "drop")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [left.name for left in tmp_path.iterdir()] == ["pipe.json"]
