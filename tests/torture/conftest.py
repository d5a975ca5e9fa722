"""Runs ``scripts/torture`` in short forms and reads what it tells."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.databases import postgresql_programs
from tests.conftest import missing

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Told:
    code: int
    #: The object on standard output; empty where nothing could be counted.
    keys: dict[str, int]
    talk: str


Torture = Callable[..., Told]


def run(*arguments: object) -> Told:
    done = subprocess.run(
        [sys.executable, "-m", "bench.torture", *map(str, arguments), "--json"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    sys.stderr.write(done.stderr)
    keys = json.loads(done.stdout) if done.stdout else {}
    return Told(code=done.returncode, keys=keys, talk=done.stderr)


@pytest.fixture
def torture() -> Torture:
    return run


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    kind = str(request.param)
    if kind == "postgresql" and postgresql_programs() is None:
        missing("no PostgreSQL on this machine (initdb, pg_ctl)")
    return kind
