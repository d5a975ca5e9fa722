from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.clock import FakeClock
from otrsd.desk import trash
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Desk
from otrsd.errors import NotFoundError
from otrsd.model.envelope import Envelope
from otrsd.spool import Arrival, Spool
from otrsd.store import content, ledger, trash as rows

WHO = Who(actor="root", cause="cli")
ID = "01M8572SVMW95Y9GJRGETZ7PJ9"
MAIL = b"Subject: Cheap meds\n\nbuy\n"


@pytest.fixture
def spool(tmp_path: Path, clock: FakeClock) -> Spool:
    return Spool(tmp_path / "spool.db", clock)


def arrived(clock: FakeClock, content: bytes = MAIL) -> Arrival:
    envelope = Envelope(mail_from="x@spam.example", received_at=clock.now())
    return Arrival.of(ID, envelope, [content])


def discarded(desk: Desk, spool: Spool, clock: FakeClock) -> int:
    """Discard one held mail as a person; return its place in the trash."""
    spool.put([arrived(clock)])
    keep = clock.now() + timedelta(days=30)
    trash.discard_held(desk, spool, ID, WHO, keep)
    with desk.database.read() as connection:
        return rows.entries(connection)[0].id


def test_a_person_discards_a_held_mail(desk: Desk, spool: Spool, clock: FakeClock):
    trash_id = discarded(desk, spool, clock)
    assert trash.find(desk, trash_id).cause == "cli:root"
    assert not spool.entries()
    with desk.database.read() as connection:
        assert ledger.read(connection, [ID])[ID].outcome == "trash"


def test_restore_keeps_the_receive_time_and_leaves_the_culprit_out(
    desk: Desk, spool: Spool, clock: FakeClock
):
    received = clock.now()
    trash_id = discarded(desk, spool, clock)
    clock.advance(timedelta(days=3))
    trash.restore(desk, spool, trash_id, WHO)
    (claimed,) = spool.claim("w", 1, now=clock.now())
    assert (claimed.content, claimed.envelope.received_at) == (MAIL, received)
    assert claimed.without == {"cli:root"}
    with desk.database.read() as connection:
        assert not rows.entries(connection)


def test_purge_removes_the_content_too(desk: Desk, spool: Spool, clock: FakeClock):
    trash_id = discarded(desk, spool, clock)
    sha256 = trash.purge(desk, trash_id, WHO).content_sha256
    with desk.database.read() as connection, pytest.raises(NotFoundError):
        content.read(connection, sha256)


def test_expired_mails_are_purged(desk: Desk, spool: Spool, clock: FakeClock):
    discarded(desk, spool, clock)
    assert trash.purge_expired(desk, clock.now()) == 0
    assert trash.purge_expired(desk, clock.now() + timedelta(days=31)) == 1


def test_a_missing_mail_is_named_with_a_command_to_try(desk: Desk):
    with pytest.raises(NotFoundError, match="otrsd trash list"):
        trash.find(desk, 99)
