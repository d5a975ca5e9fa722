"""A short form of scripts/fuzz without atheris: every seed, and some mutations."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench import fuzz
from bench.fuzz_seeds import SEEDS, WORDS
from bench.fuzz_targets import TARGETS, FindingError

MUTATIONS = 300


def mutated(target: str, chance: random.Random) -> bytes:
    octets = bytearray(chance.choice(SEEDS[target]) + chance.choice(SEEDS[target]))
    for _ in range(chance.randrange(1, 12)):
        at, end = sorted(chance.randrange(len(octets) + 1) for _ in range(2))
        new = chance.choice(
            (
                chance.choice(WORDS[target]),
                chance.randbytes(2),
                bytes(octets[at:end]) * 2,
            )
        )
        octets[at : chance.choice((at, end, at + 1))] = new
        del octets[fuzz.LONGEST :]
    return bytes(octets)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_for_its_seeds(target: str):
    for seed in SEEDS[target]:
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_for_mutations(target: str):
    chance = random.Random(20261123)  # noqa: S311 - the same ones every time
    for _ in range(MUTATIONS):
        octets = mutated(target, chance)
        try:
            TARGETS[target](octets)
        except Exception as error:
            raise AssertionError(f"put it among the seeds: {octets!r}") from error


def test_every_target_has_seeds_and_words():
    assert set(TARGETS) == set(SEEDS) == set(WORDS)


def test_a_finding_can_be_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bench.fuzz_targets.clean_filename", lambda _name: "a/b")
    (tmp_path / "found").write_bytes(b"filename=x")
    with pytest.raises(FindingError, match="leads elsewhere"):
        fuzz.main(["names", "--replay", str(tmp_path / "found")])
