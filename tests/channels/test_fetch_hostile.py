"""Fetching from servers that lie, fail and hang (rows P01, P03, P05, P06, P08, P09)."""

from __future__ import annotations

import threading
import tracemalloc

import pytest

from bench.waiting import until
from otrsd.channels.fetch.wire import Wire
from otrsd.channels.intake import NotStoredError
from otrsd.clock import SystemClock
from otrsd.errors import TemporaryError
from tests.channels.conftest import Reach
from tests.channels.fetching import hanging, mails, once

#: Left out by the quick round: servers, processes and waits.
pytestmark = pytest.mark.slow

MIB = 1024 * 1024

# P01: limits.


def hostile(lines: bytes) -> bytes:
    return lines + b"TAG OK done\r\n"


@pytest.mark.parametrize(
    ("command", "answer"),
    {
        "4-GB-literal": ("UID FETCH", b"* 1 FETCH (UID 1 BODY[] {4294967296}\r\n"),
        "long-number": ("UID FETCH", b"* 1 FETCH (BODY[] {" + b"9" * 5000 + b"}\r\n"),
        "endless-line": ("FETCH", b"* " + b"x" * 10 * MIB),
        "endless-lines": ("FETCH", b"* OK wait\r\n" * MIB),
        "nested": ("FETCH", b"* 1 FETCH " + b"(" * 60_000 + b"\r\nTAG OK x\r\n"),
        "no-numbers": ("SELECT", b"* x EXISTS\r\nTAG OK x\r\n"),
        "odd": ("FETCH", b"* 1 FETCH (UID x RFC822.SIZE -)\r\nTAG OK x\r\n"),
        "no-literal": ("UID FETCH", b"* 1 FETCH (UID 1 BODY[] {3}\r\n"),
        "bye": ("FETCH", b"* BYE go away\r\n"),
        "wrong-tag": ("FETCH", b"ZZ99 OK x\r\n"),
    }.values(),
)
def test_p01_an_imap_server_that_sends_too_much_costs_no_memory(
    reach: Reach, command: str, answer: bytes
):
    visitor = reach("imap", *mails(1))
    visitor.box.odd[command] = answer
    visitor.visit()
    tracemalloc.start()
    visitor.visit()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert visitor.status.error
    assert peak < 12 * MIB
    assert not visitor.home.mails
    visitor.box.odd.clear()
    visitor.until_done()
    assert visitor.home.often == once(mails(1))


@pytest.mark.parametrize(
    ("command", "answer"),
    {
        "endless-mail": ("RETR", b"+OK\r\n" + b"x\r\n" * 4 * MIB),
        "endless-line": ("RETR", b"+OK\r\n" + b"x" * 10 * MIB),
        "endless-list": ("UIDL\r", b"+OK\r\n" + b"1 x\r\n" * 4 * MIB),
        "endless-reply": ("STAT", b"+OK " + b"1" * 10 * MIB),
        "no-number": ("STAT", b"+OK x y\r\n"),
    }.values(),
)
def test_p01_a_pop3_server_that_sends_too_much_costs_no_memory(
    reach: Reach, command: str, answer: bytes
):
    visitor = reach("pop3", *mails(1), max_size="1MB")
    visitor.box.odd[command.rstrip("\r")] = answer
    if command.endswith("\r"):
        visitor.box.odd["UIDL 1"] = b"+OK 1 x\r\n"
        visitor.box.odd = dict(sorted(visitor.box.odd.items(), reverse=True))
    visitor.visit()
    assert visitor.status.error
    assert not visitor.home.mails
    visitor.box.odd.clear()
    visitor.until_done()
    assert visitor.home.often == once(mails(1))


def test_p01_a_mail_over_the_limit_is_never_fetched(reach: Reach):
    large = b"a: b\r\n\r\n" + b"x" * MIB
    visitor = reach("imap", large, *mails(1), max_size="64KB")
    visitor.visit()
    assert visitor.home.often == once(mails(1))
    assert len(visitor.box.folders["otrsd-oversize"]) == 1
    assert "more than max_size; it is in the folder otrsd-oversize" in visitor.told[0]


@pytest.mark.parametrize("way", ["imap-keep", "pop3", "pop3-keep"])
def test_p01_where_nothing_is_moved_it_stays_and_is_told_once(reach: Reach, way: str):
    large = b"a: b\r\n\r\n" + b"x" * MIB
    visitor = reach(way, large, *mails(1), max_size="64KB")
    visitor.visit(3)
    assert visitor.home.often == once(mails(1))
    assert visitor.box.inbox[0].content == large
    assert len(visitor.told) == 1


def test_p01_a_size_that_lies_low_does_not_pile_up(reach: Reach):
    contents = [b"a: b\r\n\r\n" + bytes([65 + n]) * MIB for n in range(8)]
    visitor = reach("imap", *contents)
    tell = [f"* {n} FETCH (UID {n} RFC822.SIZE 9)\r\n" for n in range(1, 9)]
    visitor.box.odd["FETCH"] = hostile("".join(tell).encode())
    groups: list[int] = []
    visitor.home.after = lambda: groups.append(len(visitor.home.mails))
    visitor.visit()
    assert groups == list(range(1, 9))


@pytest.mark.parametrize("way", ["imap", "imap-keep"])
def test_p01_a_million_mails_are_listed_bit_by_bit(reach: Reach, way: str):
    visitor = reach(way, *mails(3))
    many = b"* 1000000 EXISTS\r\n* OK [UIDVALIDITY 1]\r\nTAG OK x\r\n"
    visitor.box.odd = {"SELECT": many, "EXAMINE": many}
    visitor.visit(2)
    assert visitor.home.often == once(mails(3))
    lists = [each for each in visitor.box.said if " FETCH " in each]
    assert len(lists) < 60
    assert max(map(len, lists)) < 2000


def test_p01_a_million_mails_by_pop3_come_in_parts(reach: Reach):
    visitor = reach("pop3", *mails(3))
    visitor.box.odd["STAT"] = b"+OK 1000000 1\r\n"
    visitor.box.odd |= {f"LIST {n}": b"-ERR\r\n" for n in range(4, 501)}
    visitor.box.odd |= {f"UIDL {n}": b"-ERR\r\n" for n in range(4, 501)}
    visitor.visit()
    assert visitor.home.often == once(mails(3))
    visitor.box.deliver(*mails(3))
    visitor.visit(keep=True)
    assert "use IMAP" in visitor.status.error


def test_p01_uids_that_do_not_grow_end_a_visit(reach: Reach):
    visitor = reach("imap-keep", *mails(3))
    same = [f"* {n} FETCH (UID 1 RFC822.SIZE 60 FLAGS ())\r\n" for n in (1, 2, 3)]
    visitor.box.odd["FETCH"] = hostile("".join(same).encode())
    visitor.visit(3)
    assert visitor.status.error == ""
    assert len(visitor.home.mails) == 1


# P03: nothing of a mail or of the server's in a command.


def test_p03_what_mails_say_never_becomes_a_command(reach: Reach):
    evil = b"Message-ID: <a\r\n DELETE INBOX>\r\nSubject: x\r\n\r\nTAG LOGOUT\r\n"
    visitor = reach("imap-keep", evil, folder="Ärger & mehr")
    visitor.box.folders["&AMQ-rger &- mehr"] = visitor.box.inbox
    visitor.visit(2)
    verbs = {each.partition(" ")[2].split(" ")[0] for each in visitor.box.said}
    assert verbs <= {
        "EXAMINE",
        "FETCH",
        "UID",
        "LOGOUT",
        "CAPABILITY",
        "AUTHENTICATE",
        "",
    }
    numbers = [each.split(" ")[3] for each in visitor.box.said if " UID " in each]
    assert numbers
    assert all(each.isdecimal() for each in numbers)
    assert len(visitor.home.mails) == 1


@pytest.mark.parametrize("line", [b"A\r\nB\r\n", b"A\0\r\n", b"A\nB\r\n", b"A\r"])
def test_p03_the_wire_sends_one_line_at_a_time(reach: Reach, line: bytes):
    visitor = reach("imap")
    wire = Wire("127.0.0.1", visitor.settings["port"], SystemClock())
    wire.connect()
    with pytest.raises(ValueError, match="one line"):
        wire.sendall(line)
    wire.close()


# P05, P06: single mails.


def test_p05_a_mail_that_vanishes_is_skipped(reach: Reach):
    visitor = reach("imap", *mails(5))
    visitor.box.odd["UID FETCH 2 "] = b"TAG OK some are gone\r\n"
    visitor.box.odd["UID FETCH 3 "] = b"TAG NO [EXPUNGED] gone\r\n"
    visitor.visit()
    assert len(visitor.home.mails) == 3
    assert (visitor.status.error, visitor.status.waiting) == ("", 0)


def test_p05_a_mail_that_vanishes_by_pop3_is_skipped(reach: Reach):
    visitor = reach("pop3", *mails(5))
    visitor.box.odd["RETR 2"] = b"-ERR no such message\r\n"
    visitor.visit()
    assert len(visitor.home.mails) == 4
    visitor.box.remove(visitor.box.inbox[:])
    visitor.visit()
    assert (visitor.status.error, visitor.told) == ("", [])


@pytest.mark.parametrize("answer", [b"TAG NO can't read it\r\n", b"* BYE\r\n"])
def test_p06_a_mail_that_always_fails_is_moved_and_the_next_is_read(
    reach: Reach, answer: bytes
):
    visitor = reach("imap", *mails(5))
    visitor.box.odd["UID FETCH 2 "] = answer
    visitor.visit(5)
    assert visitor.home.often == once([mails(5)[n] for n in (0, 2, 3, 4)])
    assert [each.content for each in visitor.box.folders["otrsd-failed"]] == mails(1, 1)
    assert len(visitor.told) == 1
    assert "could not be fetched or stored in 3 tries" in visitor.told[0]
    assert not visitor.status.error


def test_p06_by_pop3_it_is_skipped_and_named(reach: Reach):
    visitor = reach("pop3", *mails(5))
    visitor.box.odd["RETR 2"] = b"-ERR can't read it\r\n"
    visitor.visit()
    visitor.box.odd = {"RETR 1": b"-ERR can't read it\r\n"}
    visitor.visit(4)
    assert len(visitor.home.mails) == 4
    assert [each.content for each in visitor.box.inbox] == mails(1, 1)
    assert len(visitor.told) == 1


def test_p06_a_mail_that_can_not_be_stored_is_moved_too(reach: Reach):
    visitor = reach("imap", *mails(5))
    visitor.home.refuse = lambda content: (
        NotStoredError("no") if content == mails(1, 2)[0] else None
    )
    visitor.visit(4)
    assert len(visitor.home.mails) == 4
    assert [each.content for each in visitor.box.folders["otrsd-failed"]] == mails(1, 2)


def test_p06_a_folder_that_can_not_be_made_stops_nothing(reach: Reach):
    visitor = reach("imap", b"a: b\r\n\r\n" + b"x" * MIB, *mails(2), max_size="64KB")
    visitor.box.odd = {"CREATE": b"TAG NO not here\r\n"}
    visitor.box.odd["UID MOVE 1 "] = b"TAG NO not here\r\n"
    visitor.visit(2)
    assert visitor.home.often == once(mails(2))
    assert len(visitor.told) == 1


# P08, P09: slow servers, stops.


@pytest.mark.parametrize("way", ["imap", "pop3"])
def test_p08_a_server_that_hangs_is_left(reach: Reach, way: str):
    visitor = reach(way, *mails(1))
    hangs = threading.Event()
    visitor.box.fault = hanging(hangs)
    clock = SystemClock()
    before = clock.monotonic()
    visitor.visit()
    hangs.set()
    assert clock.monotonic() - before < 3
    assert "silent or too slow" in visitor.status.error


def test_p08_octet_by_octet_is_too_slow(reach: Reach):
    visitor = reach("imap", *mails(1))
    # Never silent, and never done.
    visitor.box.drip = 0.05
    visitor.visit()
    assert "slow" in visitor.status.error


def test_p08_one_account_never_holds_up_another(reach: Reach):
    stuck, well = reach("imap", *mails(1)), reach("imap", *mails(3))
    hangs = threading.Event()
    stuck.box.fault = hanging(hangs)
    stuck.patience = well.patience
    accounts = [stuck.account(), well.account()]
    threads = [threading.Thread(target=each.run) for each in accounts]
    for thread in threads:
        thread.start()
    until("the other is served", lambda: len(well.home.mails) == 3, seconds=5)
    for account in accounts:
        account.stop()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    hangs.set()


def test_p09_a_restart_in_the_middle_goes_on(reach: Reach):
    visitor = reach("imap", *mails(500))
    account = visitor.account()

    def stop() -> None:
        if len(visitor.home.mails) >= 200:
            account.stop()

    visitor.home.after = stop
    account.run()
    assert 200 <= len(visitor.home.mails) < 300
    visitor.home.after = lambda: None
    visitor.until_done()
    assert visitor.home.often == once(mails(500))
    assert not visitor.box.inbox


def test_a_damaged_book_stops_no_mail_for_good(reach: Reach):
    visitor = reach("imap-keep", *mails(3))
    (visitor.folder / "fetch.db").write_bytes(b"no database" * 1000)
    visitor.visit()
    assert not visitor.home.mails
    visitor.lose_the_book()
    visitor.until_done()
    assert visitor.home.often == once(mails(3))


def test_temporary_trouble_of_the_spool_is_no_fault_of_a_mail(reach: Reach):
    visitor = reach("imap", *mails(1))
    visitor.home.refuse = lambda _: TemporaryError("the spool is away")
    visitor.visit(5)
    assert "otrsd-failed" not in visitor.box.folders
    assert visitor.told == []
