"""Tokens: the proof, in our Message-IDs and reply addresses, that a mail was ours.

``<otrsd.ARTICLE.TOKEN@host>`` and ``support+r.NUMBER.TOKEN@host``: 80 bits of
HMAC-SHA256 in base 32, so that they survive a mailer that folds or lower-cases
them. Who can name one has had our mail in hand; more it does not prove. The key
stands beside the history's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

#: Characters of a token: 5 bits each.
LENGTH = 16
_ID = re.compile(rf"otrsd\.(\d{{1,18}})\.([a-z2-7]{{{LENGTH}}})@", re.IGNORECASE)
_EXTENSION = re.compile(rf"r\.([0-9]{{1,32}})\.([a-z2-7]{{{LENGTH}}})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a mail says it has, not yet proved."""

    #: An article's id, or a ticket's number.
    name: str
    token: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes and proves tokens with one key."""

    key: bytes = field(repr=False)

    def message_id(self, article_id: int, made: datetime, host: str) -> str:
        """Return the Message-ID of an article of ours."""
        return f"<otrsd.{article_id}.{self._of_article(article_id, made)}@{host}>"

    def proves_article(self, claim: Claim, made: datetime) -> bool:
        """Tell whether the claim is true of the article made at that time.

        The time is part of it: a database that gives an id again gives no token again.
        """
        return self._is(claim.token, self._of_article(int(claim.name), made))

    def reply_address(self, address: str, delimiter: str, number: str) -> str:
        """Return the address whose mail joins the ticket."""
        local, _, domain = address.rpartition("@")
        token = self._sign(f"ticket/{number}")
        return f"{local}{delimiter}r.{number}.{token}@{domain}"

    def proves_ticket(self, claim: Claim) -> bool:
        """Tell whether the claim is true of the ticket with that number."""
        return self._is(claim.token, self._sign(f"ticket/{claim.name}"))

    def _of_article(self, article_id: int, made: datetime) -> str:
        return self._sign(f"article/{article_id}/{made.isoformat()}")

    def _sign(self, text: str) -> str:
        digest = hmac.new(self.key, text.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest)[:LENGTH].decode().lower()

    @staticmethod
    def _is(claimed: str, true: str) -> bool:
        return hmac.compare_digest(claimed.lower(), true)


def in_text(text: str) -> Iterator[Claim]:
    """Give the articles that Message-IDs in ``text`` claim to be."""
    for found in _ID.finditer(text):
        yield Claim(str(int(found[1])), found[2])


def in_address(address: str, delimiter: str) -> Iterator[Claim]:
    """Give the tickets that the extension of an address claims."""
    local = address.rpartition("@")[0]
    _, found, extension = local.rpartition(delimiter) if delimiter else ("", "", "")
    match = _EXTENSION.fullmatch(extension) if found else None
    if match is not None:
        yield Claim(match[1], match[2])
