"""A throw-away site and the command itself, run in this process."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otrsd.cli.main import main
from otrsd.testing import Site

MakeMail = Callable[..., bytes]
Golden = Callable[[str, str], None]
GOLDEN = Path(__file__).parent / "golden"
SPOOL_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")

CONFIG = """\
site: {name: Test, default_queue: support, timezone: Europe/Berlin}
queues:
  support: {address: support@example.com}
  billing: {address: billing@example.com}
rules:
  spam subjects:
    when: {subject: SPAM}
    then: {discard: spam in the subject}
  suspicious:
    when: {subject: hold me}
    then: {hold: looks odd}
  invoices:
    when: {subject: /invoice (?P<number>RE-\\d+)/}
    then: {queue: billing, fields: {invoice: "{{ match.number }}"}, tag: money}
"""


@dataclass
class Ran:
    """What one command printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Otrsd = Callable[..., Ran]


@pytest.fixture
def site(otrsd_app: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Give a site that every command of this test works on."""
    otrsd_app.configure(CONFIG)
    monkeypatch.setenv("OTRSD_CONFIG", str(otrsd_app.root))
    monkeypatch.setenv("OTRSD_STATE", str(otrsd_app.root / "var"))
    _ = otrsd_app.app
    return otrsd_app


@pytest.fixture
def otrsd(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Otrsd:
    """Give a function that runs a command as a shell would."""

    def run(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        code = main(arguments)
        printed = capfd.readouterr()
        return Ran(code=code, out=printed.out, err=printed.err)

    return run


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    """Give a comparison with tests/cli/golden; ids and folders are masked.

    OTRSD_GOLDEN=write writes the files anew; read the difference before a commit.
    """

    def compare(name: str, text: str) -> None:
        masked = SPOOL_ID.sub("SPOOL-ID", text).replace(str(tmp_path), "TMP")
        masked = re.sub(r"\d+\.\d ms", "0.1 ms", masked)
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("OTRSD_GOLDEN") == "write":
            path.write_text(masked, "utf-8")
        assert masked == path.read_text("utf-8")

    return compare
