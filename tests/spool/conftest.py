"""A spool in a folder of its own, and mails to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from otrsd.clock import FakeClock
from otrsd.ids import new_id
from otrsd.model.envelope import Envelope
from otrsd.spool import Arrival, Spool
from otrsd.spool.room import Floors

MakeArrival = Callable[..., Arrival]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def spool(tmp_path: Path, clock: FakeClock) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db", clock, floors=Floors(min_free=0))
    yield opened
    opened.close()


@pytest.fixture
def arrival(clock: FakeClock) -> MakeArrival:
    numbers = count()

    def make(
        content: bytes = b"Subject: x\r\n\r\nhello\r\n",
        *,
        sender: str = "",
        spool_id: str = "",
    ) -> Arrival:
        number = next(numbers)
        envelope = Envelope(
            mail_from=sender or f"sender{number}@example.com",
            rcpt_tos=("support@example.org",),
            channel="smtp",
            peer="192.0.2.1",
            received_at=clock.now(),
        )
        fresh = new_id(clock.now(), number.to_bytes(10, "big"))
        return Arrival.of(spool_id or fresh, envelope, [content])

    return make


@pytest.fixture
def put(spool: Spool, arrival: MakeArrival) -> Callable[..., str]:
    """Put one mail and return its id."""

    def put_one(content: bytes = b"Subject: x\r\n\r\nhello\r\n", **more: str) -> str:
        made = arrival(content, **more)
        spool.put([made])
        return made.id

    return put_one
