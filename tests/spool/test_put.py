from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from otrsd.clock import FakeClock
from otrsd.errors import NotFoundError
from otrsd.model.envelope import Envelope
from otrsd.spool import Arrival, Spool, State
from otrsd.spool.arrivals import pieces
from otrsd.spool.file import CHUNK

MakeArrival = Callable[..., Arrival]


def test_a_mail_comes_out_as_it_went_in(
    spool: Spool, arrival: MakeArrival, clock: FakeClock
):
    made = arrival(b"a\x00\xff\r\n.\r\n")
    spool.put([made])
    (claimed,) = spool.claim("w", 10, now=clock.now())
    assert (claimed.id, claimed.envelope) == (made.id, made.envelope)
    assert claimed.content == b"a\x00\xff\r\n.\r\n"
    assert (claimed.sha256, claimed.size) == (made.sha256, made.size)


def test_a_large_mail_stands_in_rows_and_comes_back_whole(
    spool: Spool, arrival: MakeArrival
):
    content = bytes(range(256)) * 4096 + b"end"
    made = arrival(content)
    spool.put([made])
    assert spool.content(made.id) == content


@pytest.mark.parametrize("lengths", [[0], [1], [CHUNK], [CHUNK + 1], [5, CHUNK, 7]])
def test_pieces_are_the_content_and_none_is_longer_than_a_row(lengths: list[int]):
    chunks = [bytes([n + 1]) * length for n, length in enumerate(lengths)]
    cut = [bytes(piece) for piece in pieces(chunks)]
    assert b"".join(cut) == b"".join(chunks)
    assert max(map(len, cut)) <= CHUNK


def test_the_same_mail_again_is_a_no_op(spool: Spool, arrival: MakeArrival):
    made = arrival()
    assert spool.put([made]) == ()
    assert spool.put([arrival(), made]) == ()
    assert spool.counts()[State.INCOMING] == 2


def test_the_same_id_twice_in_one_group_is_a_no_op(spool: Spool, arrival: MakeArrival):
    made = arrival()
    spool.put([made, made])
    assert [entry.id for entry in spool.entries()] == [made.id]


def test_the_same_id_with_other_octets_is_held_and_reported(
    spool: Spool, arrival: MakeArrival
):
    first = arrival(b"first")
    other = arrival(b"other", spool_id=first.id)
    spool.put([first])
    (clash,) = spool.put([other])
    assert clash.id == first.id
    assert spool.content(first.id) == b"first"
    held = spool.entry(clash.held_as)
    assert held.state is State.HELD
    assert first.id in held.reason
    assert spool.content(held.id) == b"other"


def test_a_clash_that_is_tried_again_is_kept_once(spool: Spool, arrival: MakeArrival):
    first = arrival(b"first")
    other = arrival(b"other", spool_id=first.id)
    spool.put([first])
    assert len(spool.put([other])) == 1
    assert spool.put([other]) == ()
    assert spool.counts()[State.HELD] == 1


def test_an_address_that_is_no_utf8_is_stored(spool: Spool, clock: FakeClock):
    envelope = Envelope(mail_from="a\udcff@example.com", received_at=clock.now())
    spool.put([Arrival.of("0" * 26, envelope, [b"x"])])
    assert spool.entry("0" * 26).envelope.mail_from == "a?@example.com"


def test_only_the_owner_may_read_the_files(spool: Spool, arrival: MakeArrival):
    spool.put([arrival()])
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in spool.path.parent.glob("spool.db*")
    ]
    assert len(modes) == 4
    assert set(modes) == {0o600}


def test_an_id_that_is_not_there_is_named(spool: Spool):
    with pytest.raises(NotFoundError, match=r"'nope'.*otrsd spool list"):
        spool.content("nope")


def test_a_mail_survives_closing_and_opening(
    spool: Spool, put: Callable[..., str], tmp_path: Path, clock: FakeClock
):
    spool_id = put(b"still here")
    spool.close()
    again = Spool(tmp_path / "spool.db", clock)
    assert again.content(spool_id) == b"still here"
    again.close()
