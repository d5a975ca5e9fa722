"""``scripts/bench``: run a measurement, show the table, say whether limits are kept.

``--only KEY,…`` runs the stations that give these keys and no others. Exit 0 if
every limit is kept, 1 if one is missed, a mail is not found again, or something does
not come about in time; 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import ingest, memory, parse, rules
from bench.figures import LIMITS, missed, table
from bench.ingest import NotFoundAgainError
from bench.talk import say
from bench.waiting import CLOCK, NotInTimeError

Values = dict[str, float | None]
#: Measurement → its stations → the keys they give; memory first, while the machine is
#: at rest.
STATIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ingest": {
        "memory": ("pipe_cpu_ratio", "pss_idle_mib", "pss_ratio_25mib"),
        "journey": (
            "cpu_ms_per_mail",
            "cpu_ms_per_mail_without_index",
            "searchable_per_s",
            "trace_bytes",
        ),
        "accepting": (
            "accept_per_s",
            "accept_ratio_to_null",
            "accept_ratio_to_postfix",
        ),
        "writing": ("write_p99_ms",),
    },
    "parse": {
        "ordinary": ("cpu_ms_plain", "cpu_ratio_to_stdlib"),
        "worst": ("worst_ms", "rss_peak_mib"),
    },
    "rules": {
        "asking": ("cpu_ms_per_mail", "ratio_to_naive"),
        "commands": ("check_s", "help_ms"),
        "backtest": ("backtest_mails_per_s",),
    },
}


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for; return the exit code."""
    asked = _arguments(arguments)
    chosen = STATIONS[asked.name]
    keys = list(LIMITS[asked.name])
    only = set(asked.only.split(",")) if asked.only else set(keys)
    if only - set(keys):
        say(f"error: no such key: {', '.join(sorted(only - set(keys)))}")
        say(f"The keys are: {', '.join(keys)}")
        return 2
    stations: Mapping[str, Callable[[Path], Values]] = {
        "memory": memory.idle_and_big,
        "journey": lambda folder: ingest.journey(folder, asked.n),
        "accepting": ingest.accepting,
        "writing": ingest.writing,
        "ordinary": lambda _: parse.ordinary(),
        "worst": lambda _: parse.worst(),
        "asking": lambda _: rules.asking(),
        "commands": rules.commands,
        "backtest": rules.testing_back,
    }
    values: Values = dict.fromkeys(keys)
    failures = []
    for name, given in chosen.items():
        if only.intersection(given):
            failures += _measure(name, stations[name], values)
    wrong = missed(asked.name, values)
    say(table(asked.name, values))
    for failure in failures:
        say(f"error: {failure}")
    if asked.json:
        print(
            json.dumps({k: v if v is None else round(v, 3) for k, v in values.items()})
        )
    return 1 if wrong or failures else 0


def _measure(name: str, station: Callable[[Path], Values], values: Values) -> list[str]:
    say(f"== {name}")
    began = CLOCK.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="otrsd-bench-") as folder:
            values.update(station(Path(folder)))
    except (NotInTimeError, NotFoundAgainError, rules.DifferentHitsError) as error:
        return [f"{name}: {error}"]
    finally:
        say(f"   ({CLOCK.monotonic() - began:.0f} s)")
    return []


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("name", choices=[*STATIONS])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--n", type=int, default=5000, help="mails of the journey")
    parser.add_argument("--only", default="", metavar="KEY,…", help="only these keys")
    asked = parser.parse_args(arguments)
    if asked.n < 1:
        parser.error("--n must be 1 or more")
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
