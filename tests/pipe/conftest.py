"""An installation as far as the pipe sees it, and the pipe run like an MTA does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otrsd.channels.drop import PipeSettings, make_drop_folder, write_pipe_json
from otrsd.channels.intake import Intake
from otrsd.clock import FakeClock
from otrsd.spool import Spool
from otrsd.spool.room import Floors

MAIL = b"From: ann@example.com\nSubject: Hello\n\nIt works?\n"
COMMAND = (
    sys.executable,
    "-c",
    "import sys; from otrsd.pipe import main; sys.exit(main())",
)

Pipe = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def settings(tmp_path: Path) -> PipeSettings:
    return PipeSettings(
        drop=tmp_path / "drop",
        socket=tmp_path / "submit.sock",
        max_size=100_000,
        min_free=0,
        accept=("support@example.org", "postmaster@example.org"),
    )


@pytest.fixture
def drop(settings: PipeSettings, tmp_path: Path) -> Path:
    make_drop_folder(settings.drop)
    write_pipe_json(tmp_path / "pipe.json", settings)
    return settings.drop


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"OTRSD_STATE": str(tmp_path), "PATH": os.defpath, "LC_ALL": "C"}


@pytest.fixture
def pipe(drop: Path, environ: dict[str, str]) -> Pipe:
    """Run the pipe; keyword arguments of subprocess.run go through."""

    def run(
        *arguments: str,
        content: bytes = MAIL,
        env: dict[str, str] | None = None,
        **more: object,
    ) -> subprocess.CompletedProcess[bytes]:
        given = {"input": content, "stdout": subprocess.PIPE} | more
        return subprocess.run(  # type: ignore[call-overload,no-any-return] # given is a mix
            [*COMMAND, *arguments], env=environ | (env or {}), check=False, **given
        )

    return run


@pytest.fixture
def finished(drop: Path) -> Callable[[], list[Path]]:
    """List the finished drop files."""
    return lambda: sorted(path for path in drop.iterdir() if path.is_file())


@pytest.fixture
def spool(tmp_path: Path, clock: FakeClock) -> Iterator[Spool]:
    opened = Spool(tmp_path / "spool.db", clock, floors=Floors(min_free=0))
    yield opened
    opened.close()


@pytest.fixture
def intake(spool: Spool, clock: FakeClock) -> Intake:
    return Intake(spool, clock)
