"""otrsd spool: what waits for a person, and what a person does about it."""

from __future__ import annotations

import pytest

from otrsd.store.tables import history
from otrsd.testing import Site
from tests.cli.conftest import Golden, MakeMail, Otrsd


@pytest.fixture
def held(site: Site, make_mail: MakeMail) -> str:
    """Give the spool id of a mail that a rule holds."""
    return str(site.deliver(make_mail("Look", Subject="hold me")).spool_id)


@pytest.fixture
def many(site: Site, make_mail: MakeMail) -> int:
    for n in range(101):
        site.deliver(make_mail(Subject="hold me", From=f"{n}@b.example"))
    return 101


def states(site: Site) -> list[str]:
    return [entry.state.value for entry in site.app.spool.entries()]


def test_a_held_mail_is_listed_with_its_reason(otrsd: Otrsd, held: str, golden: Golden):
    golden("spool-list", otrsd("spool", "list").out)


def test_json_lines_are_one_object_a_mail(otrsd: Otrsd, held: str):
    lines = otrsd("spool", "list", "-j", "--state", "held")
    assert lines.json["id"] == held
    assert otrsd("spool", "list", "--json", "--state", "deferred").json == []


def test_a_spooled_mail_is_shown(otrsd: Otrsd, held: str, golden: Golden):
    golden("spool-show", otrsd("spool", "show", held).out)


def test_raw_gives_the_octets(otrsd: Otrsd, held: str, make_mail: MakeMail):
    raw = otrsd("spool", "show", held, "--raw").out
    assert raw.encode() == make_mail("Look", Subject="hold me")


def test_a_released_mail_becomes_a_ticket(otrsd: Otrsd, site: Site, held: str):
    ran = otrsd("spool", "release", held, "--yes")
    assert ran.out == f"released {held}: it waits for a worker\n"
    site.deliver(b"Subject: next\n\n")
    assert "hold me" in [ticket.title for ticket in site.tickets()]


def test_a_release_stands_in_the_history(otrsd: Otrsd, site: Site, held: str):
    otrsd("spool", "release", held, "--yes")
    with site.app.database.read() as connection:
        row = connection.execute(history.select()).one()
    assert (row.type, row.cause) == ("Misc", "cli")


def test_a_retried_mail_gets_the_same_verdict(otrsd: Otrsd, site: Site, held: str):
    assert otrsd("spool", "retry", "ALL", "--yes").code == 0
    assert states(site) == ["incoming"]
    site.deliver(b"Subject: next\n\n")
    assert states(site) == ["held"]


def test_a_discarded_mail_is_in_the_trash(otrsd: Otrsd, site: Site, held: str):
    assert otrsd("spool", "discard", held, "--yes").code == 0
    assert states(site) == []
    (entry,) = otrsd("trash", "list", "--json").json
    assert (entry["subject"], entry["reason"]) == ("hold me", "discarded by a person")


def test_a_dry_run_shows_and_changes_nothing(otrsd: Otrsd, site: Site, held: str):
    ran = otrsd("spool", "discard", "ALL", "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith(f"would discard {held}  held")
    assert "looks odd" in ran.out
    assert states(site) == ["held"]


def test_nobody_to_ask_is_wrong_usage(otrsd: Otrsd, site: Site, held: str):
    ran = otrsd("spool", "discard", held)
    assert ran.code == 2
    assert "try: --yes" in ran.err
    assert states(site) == ["held"]


def test_some_unknown_ids_are_exit_5_and_the_rest_is_done(
    otrsd: Otrsd, site: Site, held: str
):
    ran = otrsd("spool", "retry", held, "0" * 26, "--yes")
    assert ran.code == 5
    assert "no mail" in ran.err
    assert states(site) == ["incoming"]


@pytest.mark.parametrize("verb", ["retry", "release", "discard"])
def test_an_unknown_id_is_exit_3_with_a_command_to_try(
    otrsd: Otrsd, site: Site, verb: str
):
    ran = otrsd("spool", verb, "nothing", "--yes")
    assert ran.code == 3
    assert "otrsd spool list" in ran.err


def test_an_empty_spool_is_nothing_to_do(otrsd: Otrsd, site: Site):
    ran = otrsd("spool", "discard", "ALL", "--yes")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "otrsd: nothing to do: no mail is held\n"


def test_more_than_a_hundred_want_their_number(otrsd: Otrsd, site: Site, many: int):
    ran = otrsd("spool", "retry", "ALL", "--yes")
    assert ran.code == 2
    assert f"try: --yes={many}" in ran.err
    assert otrsd("spool", "retry", "ALL", "--yes=100").code == 2
    assert set(states(site)) == {"held"}
    assert otrsd("spool", "retry", "ALL", f"--yes={many}").code == 0
    assert set(states(site)) == {"incoming"}


def test_a_retry_needs_no_database(otrsd: Otrsd, site: Site, held: str):
    site.close()
    (site.root / "var" / "desk.db").unlink()
    assert otrsd("spool", "retry", held, "--yes").code == 0
