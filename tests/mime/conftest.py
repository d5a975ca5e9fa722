from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from otrsd.mime.parse import parse
from otrsd.model.mail import Mail

MakeMail = Callable[..., Mail]


@pytest.fixture
def read() -> MakeMail:
    """Parse a mail made of header lines and a body."""

    def build(*lines: str | bytes, body: str | bytes = "hello\n") -> Mail:
        octets = [x.encode() if isinstance(x, str) else x for x in (*lines, "", body)]
        mail = parse(b"\n".join(octets))
        assert not any(
            "could not be parsed" in d or "could not be read" in d for d in mail.defects
        )
        return mail

    return build


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real mails, beside the project or in $OTRSD_CORPUS."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
    folder = Path(os.environ.get("OTRSD_CORPUS", beside))
    if not (folder / "expected.jsonl").is_file():
        pytest.skip(f"no corpus at {folder}: set OTRSD_CORPUS to test with real mails")
    return folder
