"""Fetching against servers of our own, good and bad ones (rows P01 to P09)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bench.mailbox import TOKEN
from bench.waiting import until
from otrsd.channels.fetch.account import _IDLE
from otrsd.errors import SpoolFullError
from tests.channels.conftest import Reach
from tests.channels.fetching import DELETING, WAYS, cutting, mails, once

#: Left out by the quick round: servers, processes and waits.
pytestmark = pytest.mark.slow

MIB = 1024 * 1024

# What every way does.


@pytest.mark.parametrize("way", WAYS)
def test_every_mail_comes_once_however_often_one_visits(reach: Reach, way: str):
    visitor = reach(way, *mails(45))
    visitor.visit(2)
    visitor.box.deliver(*mails(3, 45))
    visitor.visit(2)
    assert visitor.home.often == once(mails(48))
    assert visitor.status.error == ""
    assert (visitor.status.fetched, visitor.status.waiting) == (48, 0)


def test_by_pop3_a_session_takes_100_mails_and_the_next_follows_at_once(reach: Reach):
    visitor = reach("pop3", *mails(250))
    account = visitor.account()
    assert [round(account._once()) for _ in range(3)] == [1, 1, 60]
    assert visitor.home.often == once(mails(250))
    assert not visitor.box.inbox


@pytest.mark.parametrize("way", WAYS)
def test_over_there_is_left_what_was_asked_for(reach: Reach, way: str):
    visitor = reach(way, *mails(3))
    visitor.visit()
    left = 3 if visitor.settings.get("keep") else 0
    assert len(visitor.box.inbox) == left
    moved = visitor.box.folders.get("Done", [])
    assert len(moved) == (3 if visitor.settings.get("move_to") else 0)


def test_what_is_kept_is_opened_read_only_and_not_read_again(reach: Reach):
    visitor = reach("imap-keep", *mails(30))
    visitor.visit()
    visitor.box.said.clear()
    visitor.visit()
    said = " ".join(visitor.box.said)
    assert "EXAMINE" in said
    assert "BODY" not in said
    assert not any(each.flags for each in visitor.box.inbox)


def test_what_others_have_marked_as_deleted_is_theirs(reach: Reach):
    visitor = reach("imap-without-uidplus", *mails(3))
    visitor.box.inbox[0].flags.add(r"\Deleted")
    visitor.visit(2)
    assert visitor.home.often == once(mails(2, 1))
    assert visitor.box.inbox[0].content == mails(1)[0]


def test_the_envelope_says_where_a_mail_comes_from(reach: Reach):
    told = (
        b"Return-Path: <Kim@customer.example>\r\n"
        b"Delivered-To: desk@provider.example\r\n"
        b"X-Original-To: help@desk.example\r\n"
        b"Received: from somewhere\r\nReturn-Path: <forged@x.example>\r\n"
        b"Delivered-To: forged@desk.example\r\n\r\nhello\r\n"
    )
    visitor = reach("imap", told, queue="help")
    visitor.visit()
    (envelope,) = visitor.home.envelopes
    assert envelope.mail_from == "Kim@customer.example"
    assert envelope.rcpt_tos == ("help@desk.example",)
    assert (envelope.channel, envelope.profile) == ("imap", "box")
    assert (envelope.peer, envelope.queue) == ("127.0.0.1", "help")
    assert not envelope.trusted


@pytest.mark.parametrize("way", ["imap", "pop3"])
def test_octets_come_home_as_they_are(reach: Reach, way: str):
    odd = [
        b".\r\n",
        b"..\r\n.\r\n",
        b"a: b\r\n\r\n" + b"x" * 200_000 + b"\r\n",
        b"a: b\r\n\r\n\0\xff{5}\r\n)\r\n",
    ]
    visitor = reach(way, *odd)
    visitor.visit()
    assert sorted(visitor.home.mails.values()) == sorted(odd)


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_mail_makes_no_ticket_and_stops_nobody(reach: Reach, way: str):
    visitor = reach(way, b"", *mails(1), b"\r\n \r\n")
    visitor.visit(2)
    assert visitor.home.often == once(mails(1))
    assert (visitor.status.error, visitor.status.waiting) == ("", 0)


@pytest.mark.parametrize("way", ["imap", "pop3"])
def test_xoauth2_takes_its_token_from_a_command(reach: Reach, way: str):
    answer = f'{{"access_token": "{TOKEN}", "expires_in": 3599}}'
    command = ["printf", "%s", answer]
    visitor = reach(way, *mails(1), auth="xoauth2", password="", token_command=command)
    visitor.visit()
    assert len(visitor.home.mails) == 1


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/nowhere/token"], "can't be run"),
        (["false"], "ended with 1"),
        (["printf", '{"error": "invalid_client"}'], "invalid_client"),
        (["printf", "[}"], "no access token"),
        (["printf", "a\r\nb"], "refused"),
        (["printf", "a b"], "no access token"),
        (["yes"], "ended with"),
    ],
)
def test_a_token_that_can_not_be_had_is_told(
    reach: Reach, command: list[str], why: str
):
    visitor = reach("imap", auth="xoauth2", password="", token_command=command)
    # A refused login is not tried again at once: some servers lock the account then.
    assert visitor.visit() >= 45
    assert why in visitor.status.error


@pytest.mark.parametrize("way", ["imap", "pop3"])
def test_a_refused_login_is_told_without_the_password(reach: Reach, way: str):
    visitor = reach(way, password="wr0ng")  # noqa: S106
    assert visitor.visit() >= 45
    assert "the login is refused" in visitor.status.error
    assert "wr0ng" not in visitor.status.error


@pytest.mark.slow
def test_idle_brings_a_mail_at_once(reach: Reach):
    visitor = reach("imap", idle=True, every="1h")
    account = visitor.account()
    thread = threading.Thread(target=account.run)
    thread.start()
    until("it waits", lambda: any("IDLE" in each for each in visitor.box.said))
    visitor.box.deliver(*mails(1))
    until("it is here", lambda: len(visitor.home.mails) == 1, seconds=8)
    account.stop()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.slow
def test_a_mail_that_comes_between_the_visit_and_idle_is_seen(reach: Reach):
    visitor = reach("imap", *mails(1), idle=True, every="1h")
    late = mails(1, 1)
    # The last command before IDLE, after everything was listed.
    visitor.box.fault = lambda point: (
        visitor.box.deliver(late.pop()) if point == "idling" and late else None
    )
    account = visitor.account()
    thread = threading.Thread(target=account.run)
    thread.start()
    until("both are here", lambda: len(visitor.home.mails) == 2, seconds=8)
    account.stop()
    thread.join(5)
    assert visitor.home.often == once(mails(2))


@pytest.mark.slow
def test_where_idle_is_refused_the_mailbox_is_polled(reach: Reach):
    visitor = reach("imap", *mails(1), idle=True)
    visitor.box.odd["IDLE"] = b"TAG NO not today\r\n"
    account = visitor.account()
    assert [round(account._once()) for _ in range(2)] == [60, 60]
    assert sum("IDLE" in each for each in visitor.box.said) == 1
    assert visitor.home.often == once(mails(1))


def test_idle_is_renewed_in_time():
    # RFC 2177: at least every 29 minutes.
    assert 60 < _IDLE < 29 * 60


def test_pauses_grow_and_end_when_it_goes_well_again(reach: Reach):
    visitor = reach("imap")
    visitor.box.fault = cutting("greeting", 3)
    account = visitor.account()
    assert [round(account._once()) for _ in range(5)] == [5, 10, 20, 60, 60]


def test_a_full_spool_leaves_mails_where_they_are(reach: Reach):
    visitor = reach("imap", *mails(3))
    visitor.home.refuse = lambda _: SpoolFullError("no room")
    visitor.visit(4)
    assert (len(visitor.box.inbox), visitor.status.waiting) == (3, 3)
    assert "no room" in visitor.status.error
    visitor.home.refuse = lambda _: None
    visitor.until_done()
    assert visitor.home.often == once(mails(3))


# P02: UIDVALIDITY.


def test_p02_new_numbers_make_no_doubles_and_a_warning(reach: Reach, capsys: Any):
    visitor = reach("imap-keep", *mails(30))
    visitor.visit()
    visitor.box.renumber()
    visitor.box.deliver(*mails(2, 30))
    visitor.visit(2)
    assert visitor.home.often == once(mails(32))
    assert "UIDVALIDITY" in capsys.readouterr().out


def test_p02_the_same_octets_twice_stay_two_mails(reach: Reach):
    visitor = reach("imap-keep", *mails(1), *mails(1))
    visitor.visit()
    visitor.box.renumber()
    visitor.box.deliver(*mails(1))
    visitor.visit(2)
    assert visitor.home.often == {mails(1)[0]: 3}


def test_p02_new_numbers_between_store_and_deletion_make_no_doubles(reach: Reach):
    visitor = reach("imap", *mails(30))
    visitor.box.fault = cutting("storing", 1)
    visitor.visit()
    visitor.box.renumber()
    visitor.until_done()
    assert visitor.home.often == once(mails(30))
    assert not visitor.box.inbox


# P04: connections die, processes die.

POINTS = ("fetched", "storing", "flagged", "expunging", "expunged", "moving", "moved")


@pytest.mark.parametrize("loses_book", [False, True])
@pytest.mark.parametrize("way", [*DELETING, "imap-move", "imap-copy", "imap-keep"])
@pytest.mark.parametrize("point", POINTS)
def test_p04_a_connection_that_dies_loses_and_doubles_nothing(
    reach: Reach, way: str, point: str, *, loses_book: bool
):
    visitor = reach(way, *mails(30))
    visitor.box.fault = cutting(point, 2)
    for _ in range(3):
        visitor.visit()
        if loses_book:
            visitor.lose_the_book()
    visitor.until_done()
    assert visitor.home.often == once(mails(30))
    if way in DELETING:
        # Without the book what is marked might have been marked by somebody else.
        assert all(each.flags for each in visitor.box.inbox if loses_book)
        assert loses_book or not visitor.box.inbox


# Not without UIDL: there a mail without Message-ID has no name at all.
@pytest.mark.parametrize("way", sorted(set(WAYS) - {"pop3-without-uidl"}))
def test_p04_dying_between_the_store_and_the_book_doubles_nothing(
    reach: Reach, way: str
):
    visitor = reach(way, *mails(30))
    dead = [OSError("killed"), OSError("killed")]

    def die() -> None:
        if dead:
            raise dead.pop()

    visitor.home.after = die
    visitor.visit(2)
    visitor.until_done()
    assert visitor.home.often == once(mails(30))


def test_p04_without_uidl_mails_are_known_by_their_octets(reach: Reach):
    visitor = reach("pop3-without-uidl", *mails(30), *mails(1))
    visitor.box.fault = cutting("expunging", 2)
    visitor.until_done()
    assert visitor.home.often == once(mails(30)) | {mails(1)[0]: 2}
    assert not visitor.box.inbox
    visitor.visit(keep=True)
    assert "no UIDL" in visitor.status.error
