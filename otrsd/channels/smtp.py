"""The SMTP session: commands in, replies out, a mail into the spool (RFC 5321).

Only here and in ``session.py`` aiosmtpd's names are used. What it does well is
left to it (MAIL, RCPT, RSET, NOOP, HELP and their syntax); ours are the command
loop, DATA and every reply that a rule of ``reliability.md`` §2 S asks for.
``250`` is sent only after the intake has the mail on stable storage. TLS and AUTH
are not offered yet: STARTTLS 502, AUTH 538.
"""

# ruff: noqa: N802 - aiosmtpd finds a command by its name

from __future__ import annotations

import asyncio
import re
from typing import Any

from aiosmtpd.smtp import syntax

from otrsd.channels import replies
from otrsd.channels.content import Content
from otrsd.channels.events import visible
from otrsd.channels.replies import Reply
from otrsd.channels.session import Connection, Phase
from otrsd.counters import MAIL_RECEIVED
from otrsd.errors import SpoolFullError, TemporaryError
from otrsd.failpoint import failpoint
from otrsd.model.envelope import Envelope

#: C0 controls and DEL have no place in a command (RFC 5321 §4.1.1.1).
_CONTROL = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
#: A path, and what follows it; quoted local parts may hold anything.
_PATH = re.compile(r'<((?:[^<>"\s\\]|"(?:[^"\\]|\\.)*"|\\\S)*)>(?:\s+(.*))?')
_BARE_PATH = re.compile(r'([^<>"\s\\]+)(?:\s+(.*))?')
#: Known to some RFC, not to us.
_ELSEWHERE = frozenset({"BURL", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML"})
#: What follows these is not SMTP and must not be taken for commands: a chunk, a
#: browser's request, a proxy's header.
_NOT_SMTP = frozenset({"BDAT", "PROXY", "GET", "POST", "CONNECT"})
_USELESS = frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP", "HELO", "EHLO", "LHLO"})
#: A stranger waits for the reply to these (RFC 2920 §3.1).
_ENDS_A_GROUP = frozenset({"HELO", "EHLO", "LHLO", "DATA"})


class SmtpSession(Connection):
    """One SMTP connection."""

    async def _handle_client(self) -> None:
        try:
            await self.push(self._entrance.greeting)
            while not self._parting:
                await self._one_command()
        except (ConnectionError, asyncio.IncompleteReadError):
            # The client went away, or we hung up.
            pass
        except Exception as error:  # noqa: BLE001 - one session must not end the others
            await self.handle_exception(error)
        finally:
            if not self._parting and self.transport is not None:
                self.transport.close()

    async def _one_command(self) -> None:
        self._phase = Phase.COMMAND
        if self._stop_asked:
            self._hang_up(replies.STOPPING)
            return
        self._reset_timeout()
        line = await self._read_command()
        refusal = self._refuse_line(line)
        if refusal is not None:
            await self.push(refusal.line)
        else:
            name, _, rest = line.rstrip(b"\r\n").partition(b" ")
            argument = rest.strip().decode("utf-8", "surrogateescape")
            await self._run(name.decode("ascii", "replace").upper(), argument)
        if self._errors >= self._limits.max_errors:
            self._hang_up(replies.TOO_MANY_ERRORS)
        elif self._useless >= self._limits.max_useless:
            self._hang_up(replies.TOO_MANY_USELESS)

    async def _read_command(self) -> bytes:
        """Return the next line, or nothing of a line far over every limit."""
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            overrun = error
        while True:
            await self._reader.readexactly(overrun.consumed)
            try:
                await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                overrun = error
            else:
                return b""

    def _refuse_line(self, line: bytes) -> Reply | None:
        limit = self._limits.command_line
        if line[:4].upper() == b"MAIL":
            limit += self._limits.mail_parameters
        if not line or len(line) > limit:
            # push() counts one error itself.
            self._errors += self._limits.overlong_weight - 1
            return replies.COMMAND_TOO_LONG
        if not line.endswith(b"\r\n"):
            return replies.BARE_COMMAND_END
        return replies.BAD_SYNTAX if _CONTROL.search(line, 0, len(line) - 2) else None

    async def _run(self, name: str, argument: str) -> None:
        if name in _USELESS:
            self._useless += 1
        if name in _ENDS_A_GROUP and self._reader.ahead and not self._trusted:
            # Its content would be run as commands if we went on.
            self._hang_up(replies.TOO_EARLY)
            return
        if name in _NOT_SMTP:
            self._hang_up(replies.NOT_IMPLEMENTED)
            return
        method = self._smtp_methods.get(name)
        if method is None:
            known = name in _ELSEWHERE
            reply = replies.NOT_IMPLEMENTED if known else replies.UNKNOWN_COMMAND
            await self.push(reply.line)
            return
        try:
            await method(self, argument or None)
        except (ConnectionError, asyncio.IncompleteReadError):
            raise
        except Exception as error:  # noqa: BLE001 - a client never sees our errors
            await self.push(await self.handle_exception(error))

    async def handle_exception(self, error: Exception) -> str:
        """Log ``error`` and return a reply that does not tell it."""
        self._entrance.log.error(
            "session.failed",
            channel=self._entrance.channel,
            peer=self._address,
            error=visible(f"{type(error).__name__}: {error}"),
            exc_info=error,
        )
        return replies.TRY_AGAIN.line

    # Commands that aiosmtpd answers otherwise.

    @syntax("HELO hostname")
    async def smtp_HELO(self, hostname: str | None) -> None:
        """Greet, RFC 5321 §4.1.1.1."""
        await self._greet(hostname, f"250 {self.hostname}", extended=False)

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str | None) -> None:
        """Greet and list our extensions, in one write."""
        await self._greet(hostname, self._entrance.keywords, extended=True)

    async def _greet(
        self, hostname: str | None, answer: str, *, extended: bool
    ) -> None:
        if not hostname:
            await self.push(replies.NEED_NAME.line)
            return
        self._set_rset_state()
        self.session.extended_smtp = extended
        # It is stored and logged: octets that are no UTF-8 become escapes.
        given = hostname.encode("utf-8", "surrogateescape")
        self.session.host_name = given.decode("utf-8", "backslashreplace")
        # Neither greeting has an enhanced code (RFC 2034 §3): not through push().
        self._writer.write(f"{answer}\r\n".encode())
        await self._writer.drain()

    @syntax("VRFY <address>")
    async def smtp_VRFY(self, _argument: str | None) -> None:
        """Tell nothing about our addresses, RFC 5321 §3.5.3."""
        await self.push(replies.CANNOT_VERIFY.line)

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, _argument: str | None) -> None:
        """Refuse for good: TLS is not offered, and a 454 would invite retries."""
        await self.push(replies.NOT_IMPLEMENTED.line)

    @syntax("QUIT")
    async def smtp_QUIT(self, _argument: str | None) -> None:
        """Say goodbye; aiosmtpd would cancel the running task."""
        self._parting = True
        self.transport.write(b"221 2.0.0 Bye\r\n")
        self.transport.close()

    def _getaddr(self, argument: str) -> tuple[str | None, str | None]:
        match = _PATH.fullmatch(argument) or _BARE_PATH.fullmatch(argument)
        if match is None:
            return None, None
        path = match[1]
        if len(path.encode("utf-8", "surrogateescape")) > self._limits.path:
            return None, None
        # aiosmtpd takes an empty sender for a missing one.
        return path or "<>", match[2] or ""

    # The mail itself.

    @syntax("DATA")
    async def smtp_DATA(self, argument: str | None) -> None:
        """Receive the content, hand the mail to the intake, answer."""
        if await self.check_helo_needed():
            return
        if argument:
            await self.push(replies.NO_ARGUMENT.line)
        elif not self.envelope.rcpt_tos:
            await self.push(replies.NEED_RECIPIENT.line)
        else:
            await self._receive()

    async def _receive(self) -> None:
        entrance = self._entrance
        content = Content(
            entrance.content_limits(trusted=self._trusted), entrance.budget
        )
        try:
            # A failure before this reply would leave the client with two.
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            self._phase = Phase.CONTENT
            self._open_window()
            await content.read(self._reader)
            self._phase = Phase.STORING
            reply, spool_id = await self._store(content)
        finally:
            content.release()
        recipients = len(self.envelope.rcpt_tos)
        self._note(reply, spool_id, content.size)
        self._set_post_data_state()
        # From here on a client that does not read its reply may be cut off again.
        self._phase = Phase.COMMAND
        self._reset_timeout()
        await self._answer_content(reply, recipients)

    async def _answer_content(self, reply: Reply, recipients: int) -> None:  # noqa: ARG002 - LMTP needs it
        await self.push(reply.line)

    async def _store(self, content: Content) -> tuple[Reply, str]:
        if content.refusal is not None:
            channel = self._entrance.channel
            self._entrance.counters.count(MAIL_RECEIVED, channel, "rejected")
            return content.refusal, ""
        try:
            envelope = self._envelope_now()
            spool_id = await self._entrance.intake.accept(envelope, content.pieces)
        except SpoolFullError:
            self._entrance.note_full()
            return replies.SPOOL_FULL, ""
        except TemporaryError:
            # Foreseen, and the intake has logged the reason.
            return replies.TRY_AGAIN, ""
        except Exception as error:  # noqa: BLE001 - whatever it is: try again
            await self.handle_exception(error)
            return replies.TRY_AGAIN, ""
        failpoint("receiver.before_reply")
        self._errors = self._useless = 0
        return Reply(code=250, enhanced="2.0.0", text=spool_id), spool_id

    def _envelope_now(self) -> Envelope:
        sender = self.envelope.mail_from
        return Envelope(
            mail_from="" if sender == "<>" else sender,
            rcpt_tos=tuple(self.envelope.rcpt_tos),
            channel=self._entrance.channel,
            peer=self._address,
            helo=self.session.host_name,
            received_at=self._entrance.clock.now(),
        )

    def _note(self, reply: Reply, spool_id: str, size: int) -> None:
        event = {"size": size, "mail_from": visible(self.envelope.mail_from)}
        if spool_id:
            self._log("mail.received", mail_id=spool_id, **event)
        else:
            self._log("mail.rejected", reply=reply.line, **event)

    def _log(self, name: str, **fields: object) -> None:
        self._entrance.log.info(
            name,
            channel=self._entrance.channel,
            peer=self._address,
            helo=visible(self.session.host_name or ""),
            **fields,
        )

    @property
    def _trusted(self) -> bool:
        return self._peer is not None and self._peer.trusted

    @property
    def _address(self) -> str:
        return self._peer.address if self._peer is not None else ""

    # aiosmtpd calls these with itself, its session and its envelope.

    async def _judge_sender(
        self, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if not _is_sendable(address, envelope):
            return replies.NEEDS_SMTPUTF8.line
        for option in options:
            size = option.removeprefix("SIZE=")
            if size != option and not self._entrance.budget.has(int(size)):
                return replies.BUSY.line
        if self._entrance.is_full:
            return replies.SPOOL_FULL.line
        envelope.mail_from = address
        return replies.SENDER_OK.line

    async def _judge_recipient(
        self, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if address == "<>":
            return replies.BAD_RECIPIENT.line
        if not _is_sendable(address, envelope):
            return replies.NEEDS_SMTPUTF8.line
        if len(envelope.rcpt_tos) >= self._limits.max_recipients:
            # Not an error: a sender may offer them all and send the rest later.
            self._errors -= 1
            return replies.TOO_MANY_RECIPIENTS.line
        reply = self._entrance.recipients.answer(address)
        if reply.accepted:
            envelope.rcpt_tos.append(address)
        else:
            # The local MTA asks for whole lists of strangers' recipients.
            self._errors -= self._trusted
            self._log("mail.rejected", reply=reply.line, rcpt_to=visible(address))
        return reply.line

    _handle_hooks: dict[str, Any] = {  # noqa: RUF012 - never changed
        "MAIL": _judge_sender,
        "RCPT": _judge_recipient,
    }


def _is_sendable(address: str, envelope: Any) -> bool:
    """Tell whether ``address`` may be used in this transaction (RFC 6531 §3.5)."""
    if address.isascii():
        return True
    try:
        address.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(envelope.smtp_utf8)
