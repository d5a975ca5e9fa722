"""Split: a mail to several of our queues as several parts, where the site wants that.

In: a screened mail. Out: the parts to carry, each for one queue (``into``) and with a
dedup key of its own, so that a copy which comes alone, for one recipient, is known by
its queue. Without ``site.one_ticket_per_queue`` there is one part: the mail itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256

from otrsd.mime.address import parse_addresses
from otrsd.postmaster.parts import Postmaster, Screened

#: Header fields that may name our address where the envelope does not, in order
#: (Znuny's DestQueue; features B15).
ADDRESS_FIELDS = (
    "Resent-To",
    "Envelope-To",
    "To",
    "Cc",
    "Delivered-To",
    "X-Original-To",
)
#: Parts of one mail; it may name every queue there is.
_MOST = 10
#: Fields of one name that are read; a hostile mail has hundreds.
_FIELDS = 20


def parts(post: Postmaster, screened: Screened) -> tuple[Screened, ...]:
    """Return the parts of a mail, the first one for the queue named first."""
    if not post.one_ticket_per_queue:
        return (screened,)
    told = screened.claimed.envelope.rcpt_tos
    queues = _queues(post, told) or _queues(
        post, (address for _, address in written_to(screened))
    )
    return tuple(_part(post, screened, n, q) for n, q in enumerate(queues)) or (
        screened,
    )


def written_to(screened: Screened) -> Iterator[tuple[str, str]]:
    """Give (field, address) of everybody to whom the header section says it goes."""
    mail = screened.mail
    parsed = {"To": mail.to, "Cc": mail.cc}
    for name in ADDRESS_FIELDS:
        if name in parsed:
            yield from ((name, each.address) for each in parsed[name])
            continue
        for value in mail.header_all(name)[:_FIELDS]:
            for each in parse_addresses(value).addresses:
                yield name, each.address


def _queues(post: Postmaster, addresses: Iterable[str]) -> tuple[str, ...]:
    found = (post.routes.queue_of(address) for address in addresses)
    return tuple(dict.fromkeys(queue for queue in found if queue))[:_MOST]


def _part(post: Postmaster, screened: Screened, n: int, queue: str) -> Screened:
    mail = screened.mail
    # Without a Message-ID no other mail is a copy, but the parts know each other.
    base = mail.dedup_key or screened.claimed.id
    keys = {q: sha256(f"{base}/{q}".encode()).hexdigest() for q in post.queues}
    return replace(
        screened,
        part=n,
        into=queue,
        key=keys[queue],
        siblings=tuple(key for name, key in keys.items() if name != queue),
        mail=replace(mail, dedup_key=keys[queue] if mail.dedup_key else ""),
    )
