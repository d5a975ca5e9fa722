"""Notices: mails to ``site.admin``, once a day for each cause, at most twenty.

They go the way of all mail (outbox, relay), but belong to no ticket: the parcel
carries its octets. Automatic, from the null reverse-path, so that nothing answers.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from otrsd.desk.letterhead import Letterhead
from otrsd.desk.outgoing import Parcel, post
from otrsd.desk.unit import Desk
from otrsd.errors import InputError
from otrsd.mime.compose import Letter, compose, sealed, sendable
from otrsd.mime.visible import visible
from otrsd.model.mail import Address
from otrsd.store import tally

#: How long one cause is not told again.
PAUSE = timedelta(days=1)
#: Notices of all causes in that time: a stranger may think of many.
MOST = 20
_DIGITS = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}|\d+")
#: Characters of a reason that tell causes apart.
_CAUSE = 120


def tell_admin(
    desk: Desk, head: Letterhead, *, what: str, reason: str, look: str, cause: str = ""
) -> bool:
    """Owe the admin a mail; tell whether there was one to owe.

    ``what`` happened, for the subject; ``look`` is the command that tells more. The
    cause is what happened and the reason; numbers in it don't make it another one.
    """
    if not head.admin:
        return False
    told = _DIGITS.sub("#", cause or f"{what}\n{reason[:_CAUSE]}")
    key = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()
    with desk.unit() as unit:
        since = unit.at - PAUSE
        if tally.count(unit.connection, tally.ADMIN, who=key, since=since):
            return False
        if tally.count(unit.connection, tally.ADMIN, since=since) >= MOST:
            return False
        tally.add(unit.connection, tally.ADMIN, key, unit.at)
        values = {
            "what": visible(what),
            "reason": visible(reason, keep="\n"),
            "look": visible(look),
            "site": head.site(),
        }
        rendered = head.letters.render("admin", head.language, values)
        sender = Address(name=head.name, address=_sender(head))
        letter = Letter(
            sender=sender,
            to=(Address(address=head.admin),),
            subject=f"[{head.name}] {rendered.subject}",
            text=rendered.text,
            date=unit.at,
            language=rendered.language,
            automatic="auto-generated",
            loop=sender.address,
        )
        # The cause and the moment are unlike any other notice's.
        message_id = f"<otrsd.notice.{key[:16]}.{unit.at.timestamp():.0f}@{head.host}>"
        parcel = Parcel(
            mail_from="",
            rcpt_tos=(sendable(head.admin),),
            subject=letter.subject,
            message_id=message_id,
            octets=sealed(compose(letter), message_id).decode("ascii"),
            automatic=True,
        )
        post(unit, parcel)
    return True


def _sender(head: Letterhead) -> str:
    """Return an address of ours: the site's, or a queue's."""
    queues = (queue.address for queue in head.queues.values())
    address = head.address or next(filter(None, queues), "")
    if not address:
        raise InputError(
            "nobody can be told: neither 'send.from' nor a queue has an address"
        )
    return address
