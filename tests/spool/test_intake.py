from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from otrsd.channels.intake import Intake, NotStoredError
from otrsd.clock import FakeClock
from otrsd.errors import SpoolFullError, TemporaryError
from otrsd.model.envelope import Envelope
from otrsd.spool import Spool
from otrsd.spool.room import Floors


@pytest.fixture
def envelope(clock: FakeClock) -> Envelope:
    return Envelope(mail_from="ann@example.com", received_at=clock.now())


@pytest.fixture
def intake(spool: Spool, clock: FakeClock) -> Intake:
    return Intake(spool, clock)


def test_a_mail_is_stored_before_its_id_is_told(
    spool: Spool, intake: Intake, envelope: Envelope
):
    async def run() -> None:
        spool_id = await intake.accept(envelope, [b"Subject: x\r\n", b"\r\nhello"])
        assert spool.content(spool_id) == b"Subject: x\r\n\r\nhello"
        await intake.close()

    asyncio.run(run())


def test_mails_that_wait_share_a_commit_and_keep_their_order(
    spool: Spool, intake: Intake, envelope: Envelope
):
    async def run() -> list[str]:
        many = (intake.accept(envelope, [b"%d" % n]) for n in range(100))
        ids = await asyncio.gather(*many)
        await intake.close()
        return ids

    ids = asyncio.run(run())
    assert [entry.id for entry in spool.entries()] == ids


def test_a_caller_that_goes_away_loses_the_answer_not_the_mail(
    spool: Spool, intake: Intake, envelope: Envelope
):
    async def run() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(intake.accept(envelope, [b"x"]), 0)
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(intake.accept(envelope, [b"x"]))
            await asyncio.sleep(0)
            gone.cancel()
        await intake.close()

    asyncio.run(run())
    assert len(spool.entries()) == 1


def test_close_answers_those_that_wait_and_takes_no_more(
    spool: Spool, intake: Intake, envelope: Envelope
):
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(intake.accept(envelope, [b"x"]))
            await asyncio.sleep(0)
            await intake.close()
        assert spool.content(waiting.result()) == b"x"
        with pytest.raises(TemporaryError, match="stopping"):
            await intake.accept(envelope, [b"x"])

    asyncio.run(run())


def test_only_the_mail_that_does_not_fit_is_refused(
    tmp_path: Path, clock: FakeClock, envelope: Envelope
):
    spool = Spool(
        tmp_path / "spool.db", clock, floors=Floors(max_size=1_000_000, min_free=0)
    )
    intake = Intake(spool, clock)

    async def run() -> list[object]:
        contents = [b"small", b"x" * 2_000_000, b"small too"]
        answers = await asyncio.gather(
            *(intake.accept(envelope, [content]) for content in contents),
            return_exceptions=True,
        )
        await intake.close()
        return list(answers)

    answers = asyncio.run(run())
    assert [type(answer) for answer in answers] == [str, SpoolFullError, str]
    assert len(spool.entries()) == 2
    spool.close()


def test_a_spool_that_is_away_refuses_for_now(
    tmp_path: Path, clock: FakeClock, envelope: Envelope
):
    intake = Intake(Spool(tmp_path / "missing" / "spool.db", clock), clock)

    async def run() -> None:
        with pytest.raises(TemporaryError):
            await intake.accept(envelope, [b"x"])
        await intake.close()

    asyncio.run(run())


def test_a_mail_that_can_not_be_stored_does_not_refuse_the_others(
    spool: Spool, intake: Intake, envelope: Envelope
):
    # On purpose: no address at all.
    broken = replace(envelope, mail_from=None)  # type: ignore[arg-type]

    async def run() -> list[object]:
        answers = await asyncio.gather(
            intake.accept(envelope, [b"one"]),
            intake.accept(broken, [b"two"]),
            intake.accept(envelope, [b"three"]),
            return_exceptions=True,
        )
        await intake.close()
        return list(answers)

    answers = asyncio.run(run())
    assert [type(answer) for answer in answers] == [str, NotStoredError, str]
