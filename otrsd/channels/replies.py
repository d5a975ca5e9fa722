"""Every reply that the SMTP and LMTP listeners give (RFC 5321 §4.2, RFC 3463).

In: nothing; out: a table of frozen :class:`Reply` values. No reply quotes what the
client sent or what failed inside: the first could be abused, the second is ours.
Replies of aiosmtpd that lack an enhanced code get one from :func:`enhance`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply line."""

    #: Reply code, RFC 5321 §4.2.1.
    code: int
    #: Enhanced status code, RFC 3463.
    enhanced: str
    #: What a person reads in the client's log.
    text: str

    @property
    def accepted(self) -> bool:
        """Tell whether the client may go on as it wished."""
        return self.code < 400  # noqa: PLR2004 - RFC 5321 §4.2.1: 2yz and 3yz

    @property
    def line(self) -> str:
        """Return the line as it is sent, without its line end."""
        return f"{self.code} {self.enhanced} {self.text}"


def _reply(code: int, enhanced: str, text: str) -> Reply:
    return Reply(code=code, enhanced=enhanced, text=text)


# The client may go on.
SENDER_OK = _reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK = _reply(250, "2.1.5", "Recipient ok")
CANNOT_VERIFY = _reply(252, "2.1.5", "Not verified; send the mail and see")

# The session ends.
STOPPING = _reply(421, "4.3.2", "Shutting down; try again soon")
TOO_MANY_CONNECTIONS = _reply(421, "4.3.2", "Too many connections; try again soon")
TOO_MANY_OF_YOURS = _reply(421, "4.7.0", "Too many connections from your address")
NOT_ALLOWED_HERE = _reply(550, "5.7.1", "Your address may not connect here")
TIMED_OUT = _reply(421, "4.4.2", "Waited too long for you")
TOO_SLOW = _reply(421, "4.4.2", "Content comes in too slowly; nothing was stored")
SESSION_TOO_LONG = _reply(421, "4.4.2", "Session lasted too long; connect again")
TOO_MANY_ERRORS = _reply(421, "4.7.0", "Too many errors")
TOO_MANY_USELESS = _reply(421, "4.7.0", "Too many commands without a mail")
TOO_EARLY = _reply(503, "5.5.1", "Wait for the reply before you go on")

# A command is refused.
BAD_SYNTAX = _reply(500, "5.5.2", "Not a command line")
BARE_COMMAND_END = _reply(500, "5.5.2", "A command ends with CR LF")
COMMAND_TOO_LONG = _reply(500, "5.5.2", "Command line too long")
UNKNOWN_COMMAND = _reply(500, "5.5.1", "Command not recognized")
NOT_IMPLEMENTED = _reply(502, "5.5.1", "Command not implemented")
NEED_RECIPIENT = _reply(503, "5.5.1", "Need RCPT before DATA")
NO_ARGUMENT = _reply(501, "5.5.4", "No argument allowed")
NEED_NAME = _reply(501, "5.5.4", "Say your host name after the command")
BAD_RECIPIENT = _reply(501, "5.1.3", "Recipient address has no valid form")
NEEDS_SMTPUTF8 = _reply(553, "5.6.7", "Non-ASCII address needs SMTPUTF8 and UTF-8")
UNKNOWN_RECIPIENT = _reply(550, "5.1.1", "No such recipient here")
NO_RELAY = _reply(550, "5.7.1", "Not our domain; this host never relays")
TOO_MANY_RECIPIENTS = _reply(452, "4.5.3", "Too many recipients; send the rest later")

# A mail is refused.
TOO_BIG = _reply(552, "5.3.4", "Mail is larger than this host accepts")
BUSY = _reply(452, "4.3.1", "Too much mail in hand now; try again soon")
SPOOL_FULL = _reply(452, "4.3.1", "No room now; try again later")
TRY_AGAIN = _reply(451, "4.3.0", "Not taken now; try again later")
BARE_LINE_END = _reply(550, "5.5.2", "Bare CR, bare LF or NUL in the content")
LINE_TOO_LONG = _reply(
    500, "5.5.2", "Line of the content too long (RFC 5321 4.5.3.1.6)"
)
TOO_MANY_HOPS = _reply(554, "5.4.6", "Too many Received fields: a mail loop")
EMPTY = _reply(550, "5.6.0", "The mail has no content")

#: Enhanced code for a reply of aiosmtpd that has none.
_USUAL = {
    "221": "2.0.0",
    "250": "2.0.0",
    "451": "4.3.0",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "504": "5.5.4",
    "552": "5.3.4",
    "553": "5.1.3",
    "555": "5.5.4",
}
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3} ")


def enhance(line: str) -> str:
    """Return ``line`` with an enhanced code, as RFC 2034 §3 asks for."""
    usual = _USUAL.get(line[:3])
    if usual is None or line[3:4] != " " or _ENHANCED.match(line, 4):
        return line
    return f"{line[:3]} {usual} {line[4:]}"
