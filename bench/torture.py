"""``scripts/torture``: choose a torture, run it in a folder of its own, tell.

``crash`` kills processes, ``database`` and ``disk`` take something away, ``poison``
sends mails that kill and plugins that fail. Exit 0 if every promise was kept, 1 if not
(with the seed and the command that repeats the run), 2 for wrong arguments, 3 where
this machine lacks what the torture needs. The folder of a run that failed is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.crash import Crash, Order
from bench.databases import Cluster, fresh_database, postgresql_programs
from bench.faults import faults
from bench.outages import may_mount, without_postgresql, without_room, without_sqlite
from bench.reckoning import Reckoning
from bench.sabotaged import SABOTAGES
from bench.talk import say
from bench.waiting import NotInTimeError

#: Sabotages that a kill shows.
KILLED = tuple(name for name, each in SABOTAGES.items() if each.shown_at)
#: What ``--json`` tells; null where nothing could be counted.
KEYS = ("acknowledged", "kills", "lost", "doubled", "held")
LACKING = 3
_SECONDS = {"crash": 90.0, "database": 20.0, "disk": 10.0, "poison": 0.0}

Torture = Callable[[Path, argparse.Namespace], tuple[Reckoning, int]]


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; return the exit code."""
    asked = _arguments(arguments)
    lacking = _lacking(asked)
    if lacking:
        say(f"error: {lacking}")
        return LACKING
    if asked.name == "disk":
        _enter_namespace(arguments)
    folder = Path(tempfile.mkdtemp(prefix="otrsd-torture-"))
    # A server that runs as another user has to get through.
    folder.chmod(0o711)
    found: Reckoning | None = None
    kills = 0
    try:
        found, kills = TORTURES[asked.name](folder, asked)
        say(str(found))
    except NotInTimeError as error:
        say(f"error: {error}")
    if asked.json:
        print(json.dumps(as_json(found, kills) if found else dict.fromkeys(KEYS)))
    if found is not None and found.is_clean:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    say(f"seed {asked.seed}; everything of this run stands in {folder}")
    seed = [] if "--seed" in arguments else ["--seed", str(asked.seed)]
    say(f"again: scripts/torture {' '.join([*arguments, *seed])}")
    return 1


def as_json(found: Reckoning, kills: int) -> dict[str, int]:
    """Return the keys that others read."""
    counts = (found.acknowledged, kills, len(found.lost), len(found.doubled))
    return dict(zip(KEYS, (*counts, found.held), strict=True))


def crash(folder: Path, asked: argparse.Namespace) -> tuple[Reckoning, int]:
    """Kill processes."""
    with _database(folder, asked.database) as url:
        order = Order(
            seconds=asked.seconds,
            seed=asked.seed,
            sabotage=asked.sabotage,
            database=url,
        )
        run = Crash(folder, order)
        return run.run(), run.toll.count


def database(folder: Path, asked: argparse.Namespace) -> tuple[Reckoning, int]:
    """Take the database away."""
    away = without_postgresql if asked.database == "postgresql" else without_sqlite
    return away(folder, seconds=asked.seconds, seed=asked.seed), 0


def disk(folder: Path, asked: argparse.Namespace) -> tuple[Reckoning, int]:
    """Take all room away."""
    return without_room(folder, seconds=asked.seconds, seed=asked.seed), 0


def poison(folder: Path, asked: argparse.Namespace) -> tuple[Reckoning, int]:
    """Send what kills."""
    return faults(folder, seed=asked.seed), 0


TORTURES: Mapping[str, Torture] = {
    "crash": crash,
    "database": database,
    "disk": disk,
    "poison": poison,
}


@contextmanager
def _database(folder: Path, wanted: str) -> Iterator[str]:
    """Give the URL of a database for one run; empty: SQLite in the state folder."""
    if wanted in {"", "sqlite"}:
        yield ""
    elif wanted == "postgresql":
        cluster = Cluster(folder / "postgresql")
        cluster.start()
        try:
            yield cluster.url
        finally:
            cluster.stop()
    else:
        with fresh_database(wanted) as url:
            yield url


def _lacking(asked: argparse.Namespace) -> str:
    if asked.database == "postgresql" and postgresql_programs() is None:
        return "there is no PostgreSQL on this machine (initdb, pg_ctl)"
    return ""


def _enter_namespace(arguments: Sequence[str]) -> None:
    """Start again where a disk can be mounted, if that can be had."""
    if "OTRSD_TORTURE_MOUNT" in os.environ:
        return
    command = may_mount()
    os.environ["OTRSD_TORTURE_MOUNT"] = "yes" if command else "no"
    if command:
        program = [*command, sys.executable, "-m", "bench.torture", *arguments]
        os.execvp(program[0], program)  # noqa: S606 - no shell is wanted


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("name", choices=list(TORTURES))
    parser.add_argument(
        "--seconds", type=float, help="of kills, or without database or room"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--sabotage", choices=KILLED, default="", help="(crash)")
    parser.add_argument(
        "--database",
        default="",
        metavar="URL",
        help="also: sqlite, postgresql (a server of our own)",
    )
    asked = parser.parse_args(arguments)
    if asked.seconds is None:
        asked.seconds = _SECONDS[asked.name]
    if asked.name == "database" and asked.database not in {"", "sqlite", "postgresql"}:
        parser.error("database takes --database sqlite or postgresql")
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
