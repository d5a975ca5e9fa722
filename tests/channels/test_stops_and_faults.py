"""Sessions that need more than a dialog: many octets, time, deaths, a stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from itertools import product

import pytest

from otrsd.channels.limits import Budget
from otrsd.channels.session import Connection
from otrsd.channels.smtp import SmtpSession
from otrsd.errors import ConfigError, SpoolFullError, TemporaryError
from tests.channels.conftest import LOCAL, House, Visit

MAIL = b"Subject: x\r\n\r\nhi\r\n.\r\n"
ENDS = (b"\r\n", b"\n", b"\r")
FALSE_ENDS = [
    before + b"." + after
    for before, after in product((*ENDS, b"\r\r\n"), (*ENDS, b"\r\r\n"))
    if (before[-2:], after) != (b"\r\n", b"\r\n")
]


@pytest.mark.parametrize("channel", ["smtp", "lmtp"])
@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (SpoolFullError("disk"), "452 4.3.1"),
        (TemporaryError("away"), "451 4.3.0"),
        (RuntimeError("secret of ours"), "451 4.3.0"),
    ],
)
def test_what_fails_inside_is_try_again_without_inner_text(
    visit: Visit, channel: str, failure: Exception, reply: str
):
    async def story(house: House) -> None:
        house.kept.failure = failure
        client = await house.connect(channel)
        hello = "LHLO c" if channel == "lmtp" else "EHLO c"
        answer = await client.mail(MAIL, hello)
        assert answer.startswith(reply)
        assert str(failure) not in answer
        house.kept.failure = None
        assert (await client.mail(MAIL, hello)).startswith("250")

    visit(story, full_seconds=0)


def test_a_refusal_for_now_is_no_failure_of_the_session(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        house.kept.failure = TemporaryError("away")
        assert (await client.mail(MAIL)).startswith("451")
        assert not house.events.named("session.failed")
        house.kept.failure = RuntimeError("ours")
        assert (await client.mail(MAIL)).startswith("451")
        assert house.events.named("session.failed")

    visit(story)


def test_a_full_spool_is_known_at_mail_from_for_a_while(visit: Visit):
    async def story(house: House) -> None:
        house.kept.failure = SpoolFullError("disk")
        client = await house.connect()
        await client.mail(MAIL)
        assert (await client.say("MAIL FROM:<a@b>")).startswith("452 4.3.1")

    visit(story)


def test_an_error_of_our_own_in_a_command_is_try_again(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        await client.say("EHLO c")
        # A superscript is a digit to str.isdigit() and none to int().
        assert (await client.say("MAIL FROM:<a@b> SIZE=²")).startswith("451 4.3.0")
        assert await client.say("NOOP") == "250 2.0.0 OK"
        assert house.events.named("session.failed")

    visit(story)


def test_a_mail_over_the_budget_waits(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Budget, "for_listeners", lambda _listeners: Budget(1000))

    async def story(house: House) -> None:
        client = await house.connect()
        big = b"Subject: x\r\n\r\n" + b"y" * 900 + b"\r\n"
        assert (await client.mail(big + big + b".\r\n")).startswith("452 4.3.1")
        size = await client.say("MAIL FROM:<a@b.example> SIZE=5000")
        assert size.startswith("452 4.3.1")
        for _ in range(5):
            assert (await client.mail(big + b".\r\n")).startswith("250")

    visit(story)


def test_a_stop_tells_idle_sessions_and_lets_a_commit_end(visit: Visit):
    async def story(house: House) -> None:
        house.kept.hold = asyncio.Event()
        idle, busy = await house.connect(), await house.connect()
        sending = asyncio.ensure_future(busy.mail(MAIL))
        await house.kept.entered.wait()
        house.control.stop()
        assert (await idle.rest()).startswith("421 4.3.2")
        house.kept.hold.set()
        assert (await sending).startswith("250")
        assert (await busy.rest()).startswith("421 4.3.2")
        with pytest.raises(ConnectionRefusedError):
            await house.connect()

    visit(story)


def test_a_stop_cuts_a_content_that_does_not_end(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        await client.say("EHLO c", "MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@desk.example>", "DATA")
        client.send(b"Subject: x\r\n")
        house.control.stop()
        assert await client.rest() == ""
        assert house.kept.mails == []

    visit(story, stop_seconds=0.1)


def test_a_taken_port_is_named_with_what_to_do(visit: Visit):
    with socket.socket() as taken:
        taken.bind((LOCAL, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ExceptionGroup) as failure:
            visit(None, listener={"port": port})
    text = str(failure.value.exceptions[0])
    assert isinstance(failure.value.exceptions[0], ConfigError)
    assert f"listen.smtp 127.0.0.1:{port}" in text
    assert f"sport = :{port}" in text


def test_our_constructor_leaves_out_nothing_of_aiosmtpds(
    caplog: pytest.LogCaptureFixture,
):
    from aiosmtpd.smtp import SMTP

    with caplog.at_level(logging.CRITICAL):
        loop = asyncio.new_event_loop()
        theirs = vars(SMTP(None, hostname="x", loop=loop))
        loop.close()
    # Ours are set on the class, for each session, or by asyncio's own base.
    ours = set(dir(SmtpSession)) | set(Connection.__init__.__code__.co_names)
    reader = asyncio.StreamReader(loop=loop)
    asyncios = set(vars(asyncio.StreamReaderProtocol(reader, print, loop=loop)))
    assert set(theirs) - ours - asyncios == set()
