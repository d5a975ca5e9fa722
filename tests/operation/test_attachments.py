"""A real daemon reads attachments, and lives on where one kills its reader."""

from __future__ import annotations

import json
import os
import signal
import smtplib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.relay.test_extract_lane import INVOICE, NOTE, mail

# A whole daemon: not for the quick round.
pytestmark = pytest.mark.slow


def deliver(site: Any, content: bytes) -> None:
    content = content.replace(b"support@example.com", b"help@acme.test")
    with closing(smtplib.SMTP("127.0.0.1", site.smtp, timeout=20)) as client:
        client.sendmail("kim@customer.example", ["help@acme.test"], content)


def found(site: Any, word: str) -> int:
    listed = site.otrsd("search", word, "--json")
    return len(json.loads(listed.stdout)) if listed.returncode == 0 else 0


def readers() -> list[int]:
    """Process ids of extractors that this test's daemon has started."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if b"otrsd.relay.extractor" in _line(pid)]


def _line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_words_of_attachments_are_found_and_a_killed_reader_comes_again(site: Any):
    before = set(readers())
    site.start()
    deliver(site, mail(INVOICE))
    site.until(lambda: found(site, "Tintenpatrone") == 1)
    (reader,) = set(readers()) - before
    os.kill(reader, signal.SIGKILL)
    deliver(site, mail(NOTE))
    site.until(lambda: found(site, "Zahnrad") == 1)
    assert site.events("words.missing") == []
    assert site.stop() == 0
    assert not set(readers()) - before
