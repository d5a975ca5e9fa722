"""``scripts/fuzz``: run the targets under atheris, one after the other.

Each target runs in a process of its own, coverage-guided, from the seeds and from what
earlier runs found worth keeping in ``var/fuzz``. An input that makes it raise, take
more than 5 s or more than 1 GiB is a finding: it is kept, and the run goes on with the
next target. Exit 0 without findings, 1 with some, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.fuzz_seeds import SEEDS, WORDS
from bench.talk import say

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "var" / "fuzz"
#: Seconds of one input, MiB of one process, octets of one input.
SLOWEST, LARGEST, LONGEST = 5, 1024, 8192


def main(arguments: Sequence[str]) -> int:
    """Fuzz what was asked for; return the exit code."""
    asked = _arguments(arguments)
    if asked.replay:
        return _replay(asked.target[0] if asked.target else "", asked.replay)
    findings = 0
    for target in asked.target or SEEDS:
        findings += _fuzz(target, asked.seconds)
    return 1 if findings else 0


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", metavar="TARGET", help=", ".join(SEEDS))
    parser.add_argument("--seconds", type=int, default=600, help="of each target (600)")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="run a finding again"
    )
    asked = parser.parse_args(arguments)
    for target in asked.target:
        if target not in SEEDS:
            parser.error(f"there is no target '{target}'; they are: {', '.join(SEEDS)}")
    if asked.replay and len(asked.target) != 1:
        parser.error("--replay wants the one target that FILE is for")
    return asked


def _fuzz(target: str, seconds: int) -> int:
    """Run one target; return 1 if it had a finding."""
    corpus, found = WORK / "corpus" / target, WORK / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = WORK / f"{target}.dict"
    words.write_text(
        "".join(f'"{_escaped(word)}"\n' for word in WORDS[target]), "ascii"
    )
    before = set(found.iterdir())
    options = {
        "max_total_time": seconds,
        "timeout": SLOWEST,
        "rss_limit_mb": LARGEST,
        "max_len": LONGEST,
        "dict": words,
        "artifact_prefix": f"{found}/{target}-",
        "print_final_stats": 1,
        "verbosity": 1,
    }
    command = [sys.executable, "-m", "bench.fuzz_one", target]
    command += [f"-{name}={value}" for name, value in options.items()]
    began = time.monotonic()
    done = subprocess.run(
        [*command, str(corpus)], cwd=ROOT, check=False, capture_output=True
    )
    took = time.monotonic() - began
    told = done.stderr.decode("utf-8", "replace")
    runs = re.search(r"number_of_executed_units:\s*(\d+)", told)
    count = runs[1] if runs else "?"
    verdict = f"FINDING (exit {done.returncode})" if done.returncode else "no finding"
    say(f"{target:10} {count:>9} inputs in {took:4.0f} s  {verdict}")
    if not done.returncode:
        return 0
    said = done.stdout.decode("utf-8", "replace").splitlines()
    said += [line for line in told.splitlines() if "ERROR" in line]
    say("\n".join(said[-20:]))
    for path in sorted(set(found.iterdir()) - before):
        say(f"Again: scripts/fuzz {target} --replay {path.relative_to(ROOT)}")
    return 1


def _replay(target: str, path: Path) -> int:
    # Not above: a child process watches what this imports.
    from bench.fuzz_targets import TARGETS  # noqa: PLC0415

    try:
        octets = path.read_bytes()
    except OSError as error:
        say(f"error: {path}: {error.strerror}; name a file below {WORK / 'found'}")
        return 2
    TARGETS[target](octets)
    say(f"{path} holds now: put it among the seeds, bench/fuzz_seeds.py")
    return 0


def _escaped(word: bytes) -> str:
    return "".join(
        chr(c) if 0x20 < c < 0x7F and c not in b'"\\' else f"\\x{c:02x}" for c in word
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
