"""Sessions that need more than a dialog: many octets, time, deaths, a stop."""

from __future__ import annotations

import asyncio
import tracemalloc
from itertools import product

import pytest

from otrsd.channels import replies
from otrsd.channels.limits import Limits, limits_of
from otrsd.config.models import MIB, Listener
from tests.channels.conftest import LOCAL, STRANGER, Client, House, Visit

MAIL = b"Subject: x\r\n\r\nhi\r\n.\r\n"
ENDS = (b"\r\n", b"\n", b"\r")
FALSE_ENDS = [
    before + b"." + after
    for before, after in product((*ENDS, b"\r\r\n"), (*ENDS, b"\r\r\n"))
    if (before[-2:], after) != (b"\r\n", b"\r\n")
]


@pytest.mark.parametrize("end", FALSE_ENDS)
def test_S02_only_crlf_dot_crlf_ends_data(visit: Visit, end: bytes):
    async def story(house: House) -> None:
        client = await house.connect()
        smuggled = b"x" + end + b"MAIL FROM:<evil@b.example>\r\n.\r\n"
        assert (await client.mail(smuggled)).startswith("550 5.5.2")
        assert await client.say("NOOP") == "250 2.0.0 OK"
        assert house.kept.mails == []

    visit(story)


def test_S02_a_dot_after_cr_crlf_ends_it_but_the_mail_is_refused(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        assert (await client.mail(b"x\r\r\n.\r\n")).startswith("550 5.5.2")
        assert house.kept.mails == []

    visit(story)


def test_S08_a_mail_of_40_mb_is_drained_then_refused(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        tracemalloc.start()
        reply = await send_big(client, 40 * MIB)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reply.startswith("552 5.3.4")
        assert await client.say("NOOP") == "250 2.0.0 OK"
        assert peak < 8 * MIB

    visit(story, listener={"max_size": 4 * MIB})


def test_35_mib_are_received_in_pieces_with_little_more_memory(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        tracemalloc.start()
        house.kept.hold = asyncio.Event()
        sending = asyncio.ensure_future(send_big(client, 35 * MIB))
        await house.kept.entered.wait()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        house.kept.hold.set()
        assert (await sending).startswith("250 2.0.0")
        assert peak <= 1.2 * 35 * MIB
        assert max(house.kept.pieces) <= 128 * 1024 + 2
        assert len(house.kept.mails[0][1]) == 35 * MIB

    visit(story, listener={"max_size": 40 * MIB})


async def send_big(client: Client, size: int) -> str:
    await client.say(
        "EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<support@desk.example>", "DATA"
    )
    line = b"0123456789" * 6 + b"ab\r\n"
    piece = line * 1024
    for _ in range(size // len(piece)):
        client.send(piece)
        await client.writer.drain()
    client.send(b".\r\n")
    return await client.reply()


def test_S09_the_101st_recipient_waits(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        await client.say("EHLO c", "MAIL FROM:<a@b.example>")
        rcpt = "RCPT TO:<support@desk.example>"
        assert (await client.say(*[rcpt] * 100)).startswith("250 2.1.5")
        for _ in range(200):
            assert (await client.say(rcpt)).startswith("452 4.5.3")
        await client.say("DATA")
        client.send(MAIL)
        assert (await client.reply()).startswith("250")
        assert len(house.kept.mails[0][0].rcpt_tos) == 100

    visit(story)


@pytest.mark.parametrize("command", ["NOOP", "RSET", "VRFY x", "EHLO c", "HELO c"])
def test_S14_useless_commands_end_the_session(visit: Visit, command: str):
    async def story(house: House) -> None:
        client = await house.connect(peer=LOCAL)
        client.send(f"{command}\r\n".encode() * 5000)
        assert (await client.rest()).endswith(f"{replies.TOO_MANY_USELESS.line}\r\n")

    visit(story)


def test_S14_errors_end_the_session(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        client.send(b"WHAT\r\n" * 5000)
        lines = (await client.rest()).splitlines()
        assert len(lines) == 21
        assert lines[-1].startswith("421 4.7.0")

    visit(story)


def test_S14_a_session_has_an_end(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        assert (await client.rest()).startswith("421 4.4.2 Session lasted too long")

    visit(story, session_seconds=0.05)


def test_S14_the_numbers_are_those_of_the_manual():
    limits = limits_of(Listener(port=0))
    assert limits == Limits(
        max_size=25 * MIB,
        max_connections=200,
        max_connections_per_peer=10,
        max_recipients=100,
        command_line=512,
        line=998,
        max_received=50,
        command_seconds=60,
        session_seconds=600,
        data_window=60,
        data_rate=500,
        max_errors=20,
        max_useless=100,
    )


def test_S15_a_slow_command_ends_the_session(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        client.send(b"EHL")
        assert (await client.rest()).startswith("421 4.4.2 Waited too long")

    visit(story, command_seconds=0.05)


@pytest.mark.parametrize("begun", [b"", b"Subject: x\r\n\r\nhal", b"x" * 40])
def test_S15_a_slow_content_ends_the_session_and_nothing_is_stored(
    visit: Visit, begun: bytes
):
    async def story(house: House) -> None:
        client = await house.connect()
        await client.say(
            "EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<support@desk.example>"
        )
        await client.say("DATA")
        client.send(begun)
        assert (await client.rest()).startswith("421 4.4.2 Content comes in too slowly")
        assert house.kept.mails == []

    visit(story, data_window=0.1)


def test_S15_a_content_that_keeps_coming_may_take_longer_than_a_command(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        await client.say("EHLO c", "MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@desk.example>", "DATA")
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.4
        while loop.time() < end:
            client.send(b"Subject: x\r\n" * 20)
            await asyncio.wait([loop.create_future()], timeout=0.02)
        client.send(b"\r\nhi\r\n.\r\n")
        assert (await client.reply()).startswith("250")

    visit(story, command_seconds=0.2, data_window=0.2)


def test_S16_eleven_from_one_stranger(visit: Visit):
    async def story(house: House) -> None:
        for _ in range(10):
            await house.connect()
        late = await house.connect(greet=False)
        assert await late.rest() == f"{replies.TOO_MANY_OF_YOURS.line}\r\n"
        local = [await house.connect(peer=LOCAL) for _ in range(20)]
        assert await local[-1].say("NOOP") == "250 2.0.0 OK"
        assert house.events.named("session.refused")[0]["peer"] == STRANGER

    visit(story)


def test_S16_a_place_is_free_again_when_a_session_ends(visit: Visit):
    async def story(house: House) -> None:
        first = await house.connect()
        await first.say("QUIT")
        assert await first.rest() == ""
        second = await house.connect()
        assert await second.say("NOOP") == "250 2.0.0 OK"

    visit(story, listener={"max_connections_per_peer": 1})


def test_S16_the_total_cap_keeps_no_place_for_more(visit: Visit):
    async def story(house: House) -> None:
        for _ in range(3):
            await house.connect(peer=LOCAL)
        late = await house.connect(peer=LOCAL, greet=False)
        assert (await late.rest()).startswith("421 4.3.2 Too many connections")

    visit(story, listener={"max_connections": 3})


def test_who_is_not_allowed_hears_it_at_once(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect(greet=False)
        assert (await client.rest()).startswith("550 5.7.1")
        local = await house.connect(peer=LOCAL)
        assert await local.say("NOOP") == "250 2.0.0 OK"

    visit(story, listener={"allow": (f"{LOCAL}/32",)})


def test_S21_gone_before_the_end_of_data_stores_nothing(visit: Visit):
    async def story(house: House) -> None:
        for begun in (b"", b"Subject: x\r\n\r\nhalf a mail\r\n"):
            client = await house.connect()
            await client.say("EHLO c", "MAIL FROM:<a@b.example>")
            await client.say("RCPT TO:<support@desk.example>", "DATA")
            client.send(begun)
            client.reset()
        await no_session_left(house)
        assert house.kept.mails == []

    visit(story, listener={"max_connections_per_peer": 1})


def test_S21_gone_before_the_354_stores_nothing(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        await client.say("EHLO c", "MAIL FROM:<a@b.example>")
        client.send(b"RCPT TO:<support@desk.example>\r\nDATA\r\n")
        client.reset()
        await no_session_left(house)
        assert house.kept.mails == []

    visit(story, listener={"max_connections_per_peer": 1})


def test_S21_gone_after_the_final_dot_stores_once(visit: Visit):
    async def story(house: House) -> None:
        await gone_during_the_commit(house)
        await no_session_left(house)
        assert len(house.kept.mails) == 1

    visit(story, listener={"max_connections_per_peer": 1})


def test_S21_a_half_closed_client_still_gets_its_reply(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        await client.say("EHLO c", "MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@desk.example>", "DATA")
        client.send(MAIL)
        client.writer.write_eof()
        assert (await client.rest()) == "250 2.0.0 ID1\r\n"

    visit(story)


async def gone_during_the_commit(house: House) -> None:
    """Send a mail, and be gone before its reply; the commit ends afterwards."""
    house.kept.hold = asyncio.Event()
    client = await house.connect()
    sending = asyncio.ensure_future(client.mail(MAIL))
    await house.kept.entered.wait()
    client.reset()
    await asyncio.wait([sending])
    sending.exception()
    house.kept.hold.set()


async def no_session_left(house: House) -> None:
    """Connect until the only place of this peer is free again."""
    while True:
        client = await house.connect(greet=False)
        if (await client.reply()).startswith("220"):
            return


def test_S22_a_commit_longer_than_every_limit_is_answered(visit: Visit):
    async def story(house: House) -> None:
        house.kept.hold = asyncio.Event()
        client = await house.connect()
        asyncio.get_running_loop().call_later(0.5, house.kept.hold.set)
        assert (await client.mail(MAIL)).startswith("250 2.0.0")
        assert len(house.kept.mails) == 1

    visit(story, command_seconds=0.1, session_seconds=0.2, data_window=0.1)


def test_S22_who_gives_up_during_the_commit_may_come_again(
    visit: Visit,
):
    async def story(house: House) -> None:
        await gone_during_the_commit(house)
        again = await house.connect(peer=LOCAL)
        assert (await again.mail(MAIL)).startswith("250 2.0.0 ID2")
        assert len(house.kept.mails) == 2

    visit(story, command_seconds=0.1, session_seconds=5.0)


def test_S26_a_greeting_name_can_not_forge_a_log_line(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        name = "x\u202e\u2028\u0085<script>"
        await client.mail(MAIL, hello=f"EHLO {name}")
        assert house.events.named("mail.received")[0]["helo"] == (
            r"x\u202e\u2028\x85<script>"
        )
        assert (await client.say(f"EHLO {'n' * 2000}")).startswith("500")

    visit(story)


def test_octets_that_are_no_utf_8_are_stored_as_escapes(visit: Visit):
    async def story(house: House) -> None:
        client = await house.connect()
        client.send(b"EHLO \xff\xfe\r\n")
        await client.reply()
        await client.say("MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@desk.example>", "DATA")
        client.send(MAIL)
        assert (await client.reply()).startswith("250")
        assert house.kept.mails[0][0].helo == r"\xff\xfe"

    visit(story)
