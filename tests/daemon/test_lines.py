from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from otrsd.clock import FakeClock
from otrsd.daemon.lines import Lines
from otrsd.daemon.log import set_up

TIME = "2026-11-23T10:00:00.000Z"


class Reader:
    def __init__(self) -> None:
        self.end, self.descriptor = os.pipe()

    def lines(self) -> list[str]:
        os.set_blocking(self.end, False)
        try:
            return os.read(self.end, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    os.close(made.end)
    os.close(made.descriptor)


@pytest.fixture
def log(reader: Reader) -> Lines:
    return Lines(reader.descriptor, FakeClock(), process="relay")


@pytest.fixture
def structured(log: Lines) -> Iterator[Any]:
    set_up(log)
    yield structlog.get_logger()
    structlog.reset_defaults()
    logging.basicConfig(handlers=[], force=True)


def test_line_is_time_level_event_and_pairs(log: Lines, reader: Reader) -> None:
    log.info("mail.accepted", size=3, peer="a b")
    assert reader.lines() == [
        f'{TIME} info mail.accepted process=relay size=3 peer="a b"'
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r'"a\nb"'),
        ("\x1b[31mred", r'"\x1b[31mred"'),
        ("\u202eevil", r'"\u202eevil"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a\\", r'"a\\"'),
        ("\ud800", r'"\ud800"'),
        ("Müller", "Müller"),
    ],
)
def test_hidden_characters_are_shown_and_quotes_can_be_undone(
    log: Lines, reader: Reader, text: str, shown: str
) -> None:
    log.info("e", text=text)
    assert reader.lines()[0].split("text=")[1] == shown


def test_json_is_one_object_a_line(reader: Reader) -> None:
    Lines(reader.descriptor, FakeClock(), as_json=True).info("e", text="a\n\x1b\u202e")
    (line,) = reader.lines()
    assert json.loads(line) == {
        "time": TIME,
        "level": "info",
        "event": "e",
        "text": "a\n\x1b\u202e",
    }
    assert line.isascii()


def test_reader_that_sleeps_costs_lines_not_time(log: Lines, reader: Reader) -> None:
    for _ in range(3000):
        log.info("e", text="x" * 100)
    received = len(reader.lines())
    log.info("last")
    assert reader.lines() == [
        f"{TIME} info last process=relay lines_lost={3000 - received}"
    ]


def test_closed_log_and_field_that_cannot_be_shown_harm_nobody(reader: Reader) -> None:
    class Nasty:
        def __str__(self) -> str:
            raise RuntimeError

    Lines(9999, FakeClock()).info("e")
    Lines(reader.descriptor, FakeClock()).info("e", nasty=Nasty())
    assert reader.lines() == []


def test_long_value_is_cut(log: Lines, reader: Reader) -> None:
    log.info("e", text="x" * 10_000)
    assert len(reader.lines()[0]) < 2100


@pytest.mark.parametrize("as_json", [False, True])
def test_long_line_never_waits_for_a_full_pipe(reader: Reader, as_json: bool) -> None:  # noqa: FBT001 - a parameter of the test
    log = Lines(reader.descriptor, FakeClock(), as_json=as_json)
    # Were a line longer than the kernel takes at once, this would hang.
    for _ in range(30):
        log.info("e", count=7, text="ü" * 1999, more="😀" * 1999)
    assert {len(line.encode()) < 4096 for line in reader.lines()} == {True}


def test_structlog_writes_the_same_lines(structured: Any, reader: Reader) -> None:
    structured.warning("mail.held", spool_id="01ABC")
    structured.debug("not.wanted")
    assert reader.lines() == [f"{TIME} warning mail.held process=relay spool_id=01ABC"]


def test_exception_costs_one_line_unless_debug(structured: Any, reader: Reader) -> None:
    error = ValueError("no")
    error.__cause__ = KeyError("inner")
    structured.error("mail.failed", exc_info=error)
    (line,) = reader.lines()
    assert line.endswith(
        "error mail.failed process=relay "
        "cause=\"ValueError: no (because of KeyError: 'inner')\""
    )


def test_traceback_comes_at_debug(reader: Reader) -> None:
    set_up(Lines(reader.descriptor, FakeClock(), level="debug"))
    structlog.get_logger().error("mail.failed", exc_info=ValueError("no"))
    structlog.reset_defaults()
    logging.basicConfig(handlers=[], force=True)
    first, *rest = reader.lines()
    assert "cause" in first
    assert all(" debug mail.failed traceback=" in line for line in rest)
    assert rest


def test_libraries_speak_in_the_same_form(structured: Any, reader: Reader) -> None:
    logging.getLogger("mail.log").warning("peer %s\n", "x")
    logging.getLogger("mail.log").info("chatter")
    (line,) = reader.lines()
    assert line.startswith(f"{TIME} warning library.said process=relay logger=mail.log")
