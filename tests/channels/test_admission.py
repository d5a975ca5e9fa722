"""Who may connect, and how many at once."""

from __future__ import annotations

import pytest

from otrsd.channels.admission import Admission
from otrsd.channels.limits import limits_of
from otrsd.config.models import Listener

OPEN = Listener(port=0, allow=("0.0.0.0/0", "::/0"))


def admission(listener: Listener = OPEN) -> Admission:
    return Admission(listener, limits_of(listener))


def test_S16_two_hundred_in_all_and_the_last_place_is_loopbacks():
    door = admission()
    addresses = [f"192.0.2.{n}" for n in range(1, 241)]
    replies = [door.enter(door.peer_at(address)) for address in addresses]
    assert replies.count(None) == 199
    assert replies[-1] is not None
    assert replies[-1].line.startswith("421 4.3.2")
    assert door.enter(door.peer_at("127.0.0.1")) is None
    assert door.enter(door.peer_at("127.0.0.1")) is not None


def test_S16_ten_from_one_ipv6_customer():
    door = admission()
    replies = [door.enter(door.peer_at(f"2001:db8::{n:x}")) for n in range(1, 13)]
    assert replies.count(None) == 10
    assert replies[-1] is not None
    assert replies[-1].line.startswith("421 4.7.0")


def test_who_leaves_gives_the_place_back():
    door = admission(OPEN.model_copy(update={"max_connections_per_peer": 1}))
    peer = door.peer_at("192.0.2.1")
    for _ in range(300):
        assert door.enter(peer) is None
        door.leave(peer)


@pytest.mark.parametrize(
    ("address", "allowed", "trusted"),
    [
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.9", True, True),
        ("192.0.2.1", False, False),
        ("fe80::1%eth0", False, False),
    ],
)
def test_loopback_alone_is_allowed_and_trusted_by_default(
    address: str, *, allowed: bool, trusted: bool
):
    peer = admission(Listener(port=0)).peer_at(address)
    assert (peer.allowed, peer.trusted) == (allowed, trusted)
