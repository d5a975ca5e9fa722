"""T11: machines that answer machines. It ends by itself, whatever they leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otrsd.testing import Site, mail_octets
from tests.postmaster.writing import (
    SITE,
    answered,
    configure,
    deliver,
    suppressed,
    taken,
)

#: Rounds after which a loop is taken for endless.
_MANY = 20
_MARKS = ("auto-submitted", "precedence", "x-otrsd-loop", "x-auto-response-suppress")


@pytest.fixture
def site(otrsd_app: Site) -> Site:
    configure(otrsd_app)
    return otrsd_app


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "other")
    site.configure(SITE.format(site="", queue="", more="").replace(".com", ".org"))
    yield site
    site.close()


def as_it_is(octets: bytes, _n: int) -> bytes:
    return octets


def without_marks(octets: bytes, _n: int) -> bytes:
    """Be a gateway that takes every mark of a machine away."""
    head, _, body = octets.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = head.decode().split("\n")
    kept = [line for line in lines if not line.lower().startswith(_MARKS)]
    return "\n".join([*kept, "", ""]).encode() + body


def rewritten(octets: bytes, n: int) -> bytes:
    """Be one that gives each mail a new Message-ID, too, and drops the thread."""
    head, _, body = without_marks(octets, n).partition(b"\n\n")
    lines = [
        line
        for line in head.decode().split("\n")
        if not line.lower().startswith(("message-id", "in-reply-to", "references"))
    ]
    lines.append(f"Message-ID: <{n}@gateway.example>")
    return "\n".join([*lines, "", ""]).encode() + body


def exchanged(
    sites: dict[str, Site], gateway: Callable[[bytes, int], bytes], path: str
) -> int:
    """Carry mails between sites until nothing is owed; return how many there were."""
    mails = 0
    while mails < _MANY:
        owed = [each for site in sites.values() for each in taken(site)]
        if not owed:
            break
        for parcel, octets in owed:
            (to,) = parcel.rcpt_tos
            envelope = {"channel": "lmtp", "mail_from": parcel.mail_from or path}
            sites[to].deliver(gateway(octets, mails), rcpt_tos=(to,), **envelope)
            mails += 1
    return mails


@pytest.mark.parametrize(
    ("gateway", "path"),
    [
        (as_it_is, ""),
        (without_marks, ""),
        (without_marks, "someone@gateway.example"),
        (rewritten, ""),
        (rewritten, "someone@gateway.example"),
    ],
)
def test_p9_two_sites_that_answer_each_other_stop_within_three_mails(
    site: Site, other: Site, gateway: Callable[[bytes, int], bytes], path: str
):
    site.deliver(
        mail_octets(From="support@example.org", Message_ID="<1@example.org>"),
        channel="lmtp",
        mail_from="support@example.org",
        rcpt_tos=("support@example.com",),
    )
    sites = {"support@example.com": site, "support@example.org": other}
    assert exchanged(sites, gateway, path) <= 3


def test_l03_a_responder_without_any_mark_has_one_answer_of_a_ticket(site: Site):
    first = deliver(site)
    for n in range(2, 8):
        for parcel, _ in taken(site):
            reply = {"In_Reply_To": parcel.message_id, "Subject": "I am away"}
            assert deliver(site, n, **reply).ticket_id == first.ticket_id
    assert taken(site) == []


def test_l03_a_responder_that_forgets_the_thread_is_capped(site: Site):
    # Somebody whom nobody has written to is answered once a day (row K09).
    answered(site, deliver(site, 99, rcpt="silent@example.com"))
    taken(site)
    last, answers = deliver(site), 0
    for n in range(2, _MANY):
        owed = taken(site)
        answers += len(owed)
        for _ in owed:
            last = deliver(site, n, Subject="I am away")
    assert answers == 5
    assert "in an hour" in suppressed(site, last)
