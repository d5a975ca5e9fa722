"""otrsd goes away while mail pours in: nothing is lost, nothing bounces, none is twice.

``OTRSD_TEST_AWAY`` says for how many seconds it is away (15).
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from bench.waiting import pause, until
from tests.neighbours.conftest import House, away

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AWAY = float(os.environ.get("OTRSD_TEST_AWAY", "15"))
#: Mails a second.
RATE = 10


@pytest.fixture
def impatient(house: House) -> Iterator[House]:
    """Give the house with a Postfix that tries again after seconds, not minutes."""
    house.postfix.set(queue_run_delay="2s", minimal_backoff_time="2s")
    yield house
    house.postfix.set(queue_run_delay="300s", minimal_backoff_time="300s")


@contextmanager
def load(house: House, to: str, seconds: int) -> Iterator[None]:
    """Let mail pour in for so long; at the end all of it is Postfix's."""
    # Several sessions of one smtp-source repeat Message-IDs, several processes don't.
    each = ["smtp-source", "-m", str(seconds), "-w", "1", "-l", "2000"]
    words = ["-f", "kim@customer.example", "-t", to, "-S", f"Load for {to}"]
    server = f"127.0.0.1:{house.postfix.port}"
    with ExitStack() as stack:
        sources = [
            stack.enter_context(subprocess.Popen([*each, *words, server]))
            for _ in range(RATE)
        ]
        try:
            yield
            assert [one.wait(seconds + 60) for one in sources] == [0] * RATE
        finally:
            for one in sources:
                one.kill()


def arrived(house: House, to: str) -> Counter[str]:
    """Return Message-ID → how many tickets it has made."""
    title = f"Load for {to}"
    found = [each for each in house.cases() if each.ticket.title == title]
    return Counter(each.articles[0].message_id for each in found)


@contextmanager
def killed(house: House) -> Iterator[None]:
    """End the daemon with SIGKILL; it is away inside the block."""
    house.daemon.kill()
    try:
        yield
    finally:
        house.daemon.start()


@pytest.mark.parametrize("address", ["support@example.com", "help@example.com"])
@pytest.mark.parametrize(("end", "seconds"), [(away, AWAY), (killed, 3.0)])
def test_what_comes_while_otrsd_is_away_comes_later(
    impatient: House,
    address: str,
    end: Callable[[House], AbstractContextManager[None]],
    seconds: float,
):
    house = impatient
    before = arrived(house, address)
    tried, length = len(house.postfix.results(address)), int(seconds) + 4
    with load(house, address, length):
        until("mail comes", lambda: arrived(house, address) - before)
        with end(house):
            pause(seconds)

    mails = RATE * length
    until("Postfix has delivered all", lambda: not house.postfix.waiting(), seconds=60)
    until(
        f"{mails} tickets",
        lambda: (arrived(house, address) - before).total() >= mails,
        every=0.5,
    )
    made = arrived(house, address) - before
    assert (len(made), set(made.values())) == (mails, {1})
    results = Counter(house.postfix.results(address)[tried:])
    assert set(results) == {"deferred", "sent"}
    assert results["sent"] == mails
