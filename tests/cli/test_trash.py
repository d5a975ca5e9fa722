"""otrsd trash: what was discarded, and getting it back."""

from __future__ import annotations

import pytest

from otrsd.store.tables import history
from otrsd.testing import Site
from tests.cli.conftest import Golden, MakeMail, Otrsd


@pytest.fixture
def discarded(site: Site, make_mail: MakeMail) -> str:
    """Give the trash id of a discarded mail."""
    site.deliver(make_mail("Win!", Subject="SPAM \x1b[31m", From="win@lucky.example"))
    return "1"


def changes(site: Site) -> list[tuple[str, str]]:
    with site.app.database.read() as connection:
        rows = connection.execute(history.select().order_by(history.c.seq))
        return [(row.type, row.cause) for row in rows]


def test_the_trash_says_who_discarded_what_and_why(
    otrsd: Otrsd, discarded: str, golden: Golden
):
    golden("trash-list", otrsd("trash", "list").out)


def test_the_trash_as_json(otrsd: Otrsd, discarded: str):
    (entry,) = otrsd("trash", "list", "--json").json
    assert (entry["id"], entry["cause"]) == (1, "rule:spam subjects")
    assert entry["expires_at"] == "2026-12-23T10:00:00Z"


def test_a_discarded_mail_is_shown(otrsd: Otrsd, discarded: str, golden: Golden):
    golden("trash-show", otrsd("trash", "show", discarded).out)


def test_raw_gives_the_octets(otrsd: Otrsd, discarded: str):
    assert "SPAM \x1b[31m" in otrsd("trash", "show", discarded, "--raw").out


def test_a_restored_mail_becomes_a_ticket(otrsd: Otrsd, site: Site, discarded: str):
    ran = otrsd("trash", "restore", discarded, "--yes")
    assert ran.code == 0
    assert ran.out.startswith("restored 1: it waits in the spool as ")
    site.deliver(b"Subject: next\n\n")
    assert any(ticket.title.startswith("SPAM") for ticket in site.tickets())
    assert ("Restored", "cli") in changes(site)
    assert otrsd("trash", "list").out == ""


def test_a_purged_mail_is_gone(otrsd: Otrsd, site: Site, discarded: str):
    assert otrsd("trash", "purge", "ALL", "--yes").out == "purged 1\n"
    assert otrsd("trash", "show", discarded).code == 3
    assert changes(site)[-1] == ("Purged", "cli")


def test_a_dry_run_purges_nothing(otrsd: Otrsd, discarded: str):
    ran = otrsd("trash", "purge", discarded, "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith("would purge 1  from win@lucky.example")
    assert "\x1b" not in ran.out
    assert otrsd("trash", "show", discarded).code == 0


def test_nobody_to_ask_is_wrong_usage(otrsd: Otrsd, discarded: str):
    assert otrsd("trash", "purge", discarded).code == 2
    assert otrsd("trash", "show", discarded).code == 0


@pytest.mark.parametrize("name", ["99", "x", "1" * 30])
def test_an_unknown_mail_is_exit_3_with_a_command_to_try(
    otrsd: Otrsd, site: Site, name: str
):
    for verb in (["show"], ["restore", "--yes"], ["purge", "--yes"]):
        ran = otrsd("trash", *verb, name)
        assert ran.code == 3
        assert ran.err.endswith("Try: otrsd trash list\n")


def test_an_empty_trash_is_nothing_to_do(otrsd: Otrsd, site: Site):
    ran = otrsd("trash", "purge", "ALL", "--yes")
    assert (ran.code, ran.err) == (0, "otrsd: nothing to do: the trash is empty\n")
