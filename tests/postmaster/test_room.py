from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Any

import pytest

FILLS_THE_DISK = """
import resource
from otrsd import hookimpl
left = ["once"]
@hookimpl
def screen_mail(mail, envelope):
    if left:
        left.pop()
        endless = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, endless))
"""


@pytest.fixture
def room() -> Iterator[Any]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("plugin", [FILLS_THE_DISK])
def test_P3_a_worker_goes_on_by_itself_after_a_full_disk(
    office: Any, mail: Any, room: Any
):
    office.put(mail())
    assert office.worker.turn()
    assert office.worker.turn()
    room()
    office.run()
    assert office.ticket().title
    assert office.spool.entries() == ()
