"""Who is believed about a mail's sender: our own MTA, else our own checks, else nobody.

Authentication-Results count by authserv-id *and* place (:class:`~otrsd.trust.Trust`);
our own checks run outside the transaction, under a deadline, where the site asks for
them and our MTA has said nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from otrsd.mime.authentication import FIELD, read_results
from otrsd.model.auth import Auth, Said
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail
from otrsd.trust import Trust

#: Seconds that all questions to the DNS for one mail may take together.
SECONDS = 8.0
#: Mail, envelope, octets, seconds → what we found ourselves.
OwnChecks = Callable[[Mail, Envelope, bytes, float], Auth]


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """What a site believes; made once."""

    #: Authserv-ids and the place of our MTA's fields; mode ``none``: no field counts.
    trust: Trust = Trust()  # noqa: RUF009 - a frozen value
    #: ``None``: we check nothing ourselves.
    own: OwnChecks | None = None

    def auth(self, mail: Mail, envelope: Envelope, content: bytes) -> Auth:
        """Return what is proved about a mail's sender."""
        found = self.told(mail)
        if not found.by and self.own is not None:
            notes = found.notes
            found = self.own(mail, envelope, content, SECONDS)
            found = replace(found, notes=(*notes, *found.notes))
        if found.by and len(mail.header_all("from")) > 1:
            # A proof is about one of them, a reader sees another one.
            found = replace(
                found,
                dkim=Said.NONE,
                dmarc=Said.NONE,
                signers=(),
                notes=(*found.notes, "two From fields: no proof counts"),
            )
        return found

    def told(self, mail: Mail) -> Auth:
        """Return what our own MTA has written into the mail."""
        if self.trust.mode == "none":
            return Auth()
        author = mail.author.domain if mail.author else ""
        found = read_results(self.trust.fields(mail), self.trust.mx, author)
        if not found.by and mail.header(FIELD) is not None:
            other = read_results(mail.headers, self.trust.mx)
            if other.by:
                note = f"{FIELD} of {other.by} is not above its Received: not believed"
                return Auth(notes=(note,))
        return found
