"""``scripts/torture``: choose a torture, run it in a folder of its own, tell.

Exit 0 if every promise was kept, 1 if not (with the seed and the command that repeats
the run), 2 for wrong arguments. The folder of a run that failed is kept and named.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.crash import Crash, Order
from bench.databases import fresh_database
from bench.reckoning import Reckoning
from bench.sabotaged import SABOTAGES
from bench.talk import say
from bench.waiting import NotInTimeError

#: Sabotages that a kill shows.
KILLED = tuple(name for name, each in SABOTAGES.items() if each.shown_at)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; return the exit code."""
    asked = _arguments(arguments)
    folder = Path(tempfile.mkdtemp(prefix="otrsd-torture-"))
    # A server of another user may have to look in.
    folder.chmod(0o711)
    found: Reckoning | None = None
    kills = 0
    try:
        with ExitStack() as stack:
            database = asked.database and stack.enter_context(
                fresh_database(asked.database)
            )
            order = Order(
                seconds=asked.seconds,
                seed=asked.seed,
                sabotage=asked.sabotage,
                database=database,
            )
            crash = Crash(folder, order)
            found = crash.run()
            kills = crash.toll.count
            say(str(found))
    except NotInTimeError as error:
        say(f"error: {error}")
    if asked.json and found is not None:
        print(json.dumps(as_json(found, kills)))
    if found is not None and found.is_clean:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    say(f"seed {asked.seed}; everything of this run stands in {folder}")
    say(f"again: scripts/torture {' '.join(arguments)} --seed {asked.seed}")
    return 1


def as_json(found: Reckoning, kills: int) -> dict[str, int]:
    """Return the keys that others read."""
    return {
        "acknowledged": found.acknowledged,
        "kills": kills,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "held": found.held,
    }


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("name", choices=["crash"])
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--sabotage", choices=KILLED, default="")
    parser.add_argument("--database", default="", metavar="URL")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
