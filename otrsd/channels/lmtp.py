"""The LMTP session: what RFC 2033 changes in SMTP.

LHLO instead of HELO and EHLO (§4.1), and after DATA one reply for each accepted
recipient, in order, whatever the outcome (§4.2). aiosmtpd's own class gives one.
"""

# ruff: noqa: N802 - aiosmtpd finds a command by its name

from __future__ import annotations

from aiosmtpd.smtp import syntax

from otrsd.channels import replies
from otrsd.channels.replies import Reply
from otrsd.channels.smtp import SmtpSession


class LmtpSession(SmtpSession):
    """One LMTP connection."""

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, hostname: str | None) -> None:
        """Greet and list our extensions."""
        await self._greet(hostname, self._entrance.keywords, extended=True)

    async def smtp_HELO(self, _hostname: str | None) -> None:
        """Refuse, RFC 2033 §4.1."""
        await self.push(replies.UNKNOWN_COMMAND.line)

    async def smtp_EHLO(self, _hostname: str | None) -> None:
        """Refuse, RFC 2033 §4.1."""
        await self.push(replies.UNKNOWN_COMMAND.line)

    async def _answer_content(self, reply: Reply, recipients: int) -> None:
        # One write, but one error however many lines it has.
        await self.push("\r\n".join([reply.line] * recipients))
