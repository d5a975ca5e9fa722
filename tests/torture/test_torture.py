"""0 lost, 0 doubled, whatever dies, is away, is full or fails; see bench/torture.py."""

from __future__ import annotations

import pytest

from tests.torture.conftest import Torture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SECONDS = {"sqlite": 40, "postgresql": 20}


def test_P1_P2_kill_9_loses_and_doubles_nothing(torture: Torture, database: str):
    told = torture("crash", "--seconds", SECONDS[database], "--database", database)
    assert told.code == 0
    assert told.keys["lost"] == told.keys["doubled"] == 0
    # A run that killed nobody, or in which no mail came, proves nothing.
    assert told.keys["kills"] >= 5
    assert told.keys["acknowledged"] >= 200
    assert told.keys["held"] >= 1


@pytest.mark.parametrize(
    ("sabotage", "shows"),
    [
        ("reply-early", {"lost"}),
        ("no-unique", {"doubled"}),
        ("forget-row", {"lost", "doubled"}),
    ],
)
def test_the_torture_notices(torture: Torture, sabotage: str, shows: set[str]):
    told = torture("crash", "--seconds", 6, "--sabotage", sabotage)
    assert told.code == 1
    assert sum(told.keys[key] for key in shows) >= 1
    assert "again: scripts/torture crash" in told.talk


def test_P4_mail_is_received_while_the_database_is_away(
    torture: Torture, database: str
):
    told = torture("database", "--database", database)
    assert told.code == 0
    assert told.keys["acknowledged"] >= 200


def test_P3_a_full_disk_refuses_for_now_and_recovers(torture: Torture):
    told = torture("disk", "--seconds", 6)
    assert told.code == 0
    assert "452 4.3.1" in told.talk


def test_P5_P6_poison_and_failing_plugins_stop_nobody_else(torture: Torture):
    told = torture("poison")
    assert told.code == 0
    # The poison, and three mails that a screen_mail plugin gave no verdict on.
    assert told.keys["held"] == 4
