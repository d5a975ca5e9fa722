"""otrsd ticket note, close, reopen, move, tag, priority, assign."""

from __future__ import annotations

import os
import pwd

import pytest

from otrsd.cli.access import login
from otrsd.model.ticket import Ticket
from otrsd.testing import Site
from tests.cli.conftest import MakeMail, Otrsd

ME = login(os.getuid())


@pytest.fixture
def number(site: Site, make_mail: MakeMail) -> str:
    """Give the number of a ticket."""
    outcome = site.deliver(make_mail(Message_ID="<1@customer.example>"))
    return str(site.ticket(outcome.ticket_id).number)


@pytest.fixture
def other(site: Site, number: str, make_mail: MakeMail) -> str:
    """Give the number of a second ticket."""
    outcome = site.deliver(make_mail(From="lee@customer.example", Subject="Second"))
    return str(site.ticket(outcome.ticket_id).number)


def ticket(site: Site, number: str) -> Ticket:
    return next(each for each in site.tickets() if each.number == number)


def actors(otrsd: Otrsd, number: str) -> set[tuple[str, str]]:
    """Return who changed the ticket by hand."""
    rows = otrsd("ticket", "history", number, "--json").json
    return {(row["type"], row["actor"]) for row in rows if row["cause"] == "cli"}


def test_a_note_is_internal_and_the_callers(otrsd: Otrsd, site: Site, number: str):
    assert otrsd("ticket", "note", number, "-m", "Called him.").code == 0
    note = site.articles(ticket(site, number).id)[-1]
    assert (note.kind, note.visible_to_customer) == ("note", False)
    assert (note.text, note.from_text) == ("Called him.\n", ME)
    assert ("AddNote", ME) in actors(otrsd, number)


def test_a_note_comes_from_stdin(otrsd: Otrsd, site: Site, number: str):
    assert otrsd("ticket", "note", number, stdin="Grüße\n".encode()).code == 0
    assert site.articles(ticket(site, number).id)[-1].text == "Grüße\n"


@pytest.mark.parametrize("stdin", [b"", b" \n\n"])
def test_an_empty_text_changes_nothing_and_says_so(
    otrsd: Otrsd, site: Site, number: str, stdin: bytes
):
    before = ticket(site, number)
    for verb in ("note", "reply"):
        ran = otrsd("ticket", verb, number, stdin=stdin)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == "otrsd: the text is empty: nothing was changed\n"
    assert ticket(site, number) == before


def test_octets_that_are_no_text_are_refused(otrsd: Otrsd, site: Site, number: str):
    before = ticket(site, number)
    ran = otrsd("ticket", "note", number, stdin=b"Gr\xfc\xdfe")
    assert ran.code == 1
    assert "not UTF-8 (octet 3)" in ran.err
    assert ticket(site, number) == before


def test_closing_and_reopening_stand_in_the_history(
    otrsd: Otrsd, site: Site, number: str
):
    ran = otrsd("ticket", "close", number, "--state", "unsuccessful", "-m", "Gone.")
    assert ran.out == f"{number}: state new -> closed unsuccessful, note\n"
    assert ticket(site, number).state == "closed unsuccessful"
    assert otrsd("ticket", "reopen", number).code == 0
    assert ticket(site, number).state == "open"
    assert ("StateUpdate", ME) in actors(otrsd, number)


def test_what_is_so_already_is_left_alone(otrsd: Otrsd, site: Site, number: str):
    before = ticket(site, number)
    ran = otrsd("ticket", "reopen", number)
    assert (ran.code, ran.out) == (0, f"{number}: nothing to do\n")
    assert ticket(site, number) == before


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        (("move", "billing"), "queue", "billing"),
        (("priority", "very high"), "priority", 5),
        (("priority", "2"), "priority", 2),
        (("tag", "vip"), "tags", ("vip",)),
        (("assign", "joe"), "owner", "joe"),
        (("assign", "me"), "owner", ME),
    ],
)
def test_a_value_is_changed(
    otrsd: Otrsd,
    site: Site,
    number: str,
    command: tuple[str, str],
    name: str,
    value: object,
):
    verb, argument = command
    assert otrsd("ticket", verb, number, argument).code == 0
    assert getattr(ticket(site, number), name) == value


def test_an_owner_can_be_taken_away(otrsd: Otrsd, site: Site, number: str):
    otrsd("ticket", "assign", number, "joe")
    assert (
        otrsd("ticket", "assign", number, "-").out == f"{number}: owner joe -> nobody\n"
    )
    assert ticket(site, number).owner == ""


@pytest.mark.parametrize(
    ("verb", "argument", "meant"),
    [
        ("move", "biling", "did you mean 'billing'?"),
        ("priority", "hihg", "did you mean 'high'?"),
        ("priority", "9", "known: very low, low"),
        ("priority", "9" * 5000, "known: very low, low"),
    ],
)
def test_a_name_that_is_not_there(
    otrsd: Otrsd, site: Site, number: str, verb: str, argument: str, meant: str
):
    before = ticket(site, number)
    ran = otrsd("ticket", verb, number, argument)
    assert ran.code == 3
    assert meant in ran.err
    assert ticket(site, number) == before


def test_states_that_only_otrsd_gives_are_not_there(otrsd: Otrsd, number: str):
    assert otrsd("ticket", "close", number, "--state", "merged").code == 3
    assert otrsd("ticket", "reply", number, "-m", "x", "--state", "removed").code == 3


@pytest.mark.parametrize("bad", ["", "  ", "\x1b[2J", "x" * 101, "\udcff"])
def test_a_tag_that_can_not_be_seen_is_refused(
    otrsd: Otrsd, site: Site, number: str, bad: str
):
    assert otrsd("ticket", "tag", number, bad).code == 1
    assert ticket(site, number).tags == ()


def test_a_tag_is_taken_away(otrsd: Otrsd, site: Site, number: str):
    otrsd("ticket", "tag", number, "vip")
    assert otrsd("ticket", "tag", number, "vip", "--remove").out == (
        f"{number}: tag -vip\n"
    )
    assert ticket(site, number).tags == ()
    assert "nothing to do" in otrsd("ticket", "tag", number, "vip", "--remove").out


def test_an_unknown_ticket_is_exit_3_with_a_command_to_try(otrsd: Otrsd, site: Site):
    ran = otrsd("ticket", "close", "4711")
    assert ran.code == 3
    assert ran.err.endswith("Try: otrsd ticket list\n")


def test_several_at_once_where_one_is_not_there(
    otrsd: Otrsd, site: Site, number: str, other: str
):
    ran = otrsd("ticket", "close", number, "4711", other)
    assert ran.code == 5
    assert "no ticket '4711'" in ran.err
    assert {each.state for each in site.tickets()} == {"closed successful"}


def test_a_ticket_named_twice_is_changed_once(otrsd: Otrsd, site: Site, number: str):
    ran = otrsd("ticket", "note", number, f"#{ticket(site, number).id}", "-m", "Once.")
    assert ran.out == f"{number}: note\n"
    assert len(site.articles(ticket(site, number).id)) == 2


def test_a_dry_run_changes_nothing(otrsd: Otrsd, site: Site, number: str):
    before = ticket(site, number)
    ran = otrsd("ticket", "close", number, "--dry-run")
    assert ran.out.startswith(f"would close {number}")
    assert ticket(site, number) == before


def test_anothers_change_is_not_overwritten(otrsd: Otrsd, site: Site, number: str):
    version = str(ticket(site, number).version)
    otrsd("ticket", "move", number, "billing")
    before = ticket(site, number)
    for command in (["close", number], ["reply", number, "-m", "Hi"]):
        ran = otrsd("ticket", *command, "--if-version", version)
        assert ran.code == 6
        assert f"Try: otrsd ticket show {number}" in ran.err
    assert ticket(site, number) == before


def test_a_version_is_for_one_ticket(otrsd: Otrsd, number: str, other: str):
    assert otrsd("ticket", "close", number, other, "--if-version", "1").code == 1


@pytest.mark.slow
def test_more_than_a_hundred_want_their_number(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
):
    for n in range(101):
        site.deliver(make_mail(Subject=f"Question {n}", From=f"{n}@b.example"))
    numbers = [each.number for each in site.tickets()]
    assert otrsd("ticket", "close", *numbers, "--yes").code == 2
    assert otrsd("ticket", "close", *numbers, "--yes=101").code == 0
    assert {each.state for each in site.tickets()} == {"closed successful"}


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")


def as_nobody(site: Site, otrsd: Otrsd, *words: str) -> int:
    """Run a command as a user to whom the site does not belong; return its exit."""
    site.close()
    for folder in (site.root, *site.root.parents):
        if folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    pid = os.fork()
    if pid == 0:
        os.setuid(pwd.getpwnam("nobody").pw_uid)
        os._exit(otrsd(*words).code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@only_root
def test_another_user_may_not(site: Site, number: str, otrsd: Otrsd):
    before = ticket(site, number)
    assert as_nobody(site, otrsd, "ticket", "close", number) == 4
    assert ticket(site, number) == before


@only_root
def test_a12_a_known_number_opens_nobody_elses_mail(
    site: Site, number: str, otrsd: Otrsd
):
    assert as_nobody(site, otrsd, "ticket", "show", number, "--raw", "1") == 4


def test_D14_merge_closes_one_and_shows_both_as_one(
    otrsd: Otrsd, site: Site, number: str, other: str
):
    tried = otrsd("ticket", "merge", number, other, "--dry-run")
    assert f"nothing was changed (1 to merge into {other})" in tried.err
    ran = otrsd("ticket", "merge", number, other)
    assert (ran.code, ran.out) == (0, f"{number}: merged into {other}\n")
    assert ticket(site, number).state == "merged"
    shown = otrsd("ticket", "show", other, "--json").json
    assert [each["number"] for each in shown["articles"]] == [number, other, number]
    assert f"ticket   {number}" in otrsd("ticket", "show", other).out.replace(":", " ")
    assert ("Merged", ME) in actors(otrsd, other)


def test_what_is_merged_changes_no_more_and_says_so(
    otrsd: Otrsd, site: Site, number: str, other: str
):
    otrsd("ticket", "merge", number, other)
    for command in (
        ("close", number),
        ("merge", other, number),
        ("reply", number, "-m", "Hello"),
        ("merge", other, other),
    ):
        assert otrsd("ticket", *command).code == 1, command
    assert "is merged" in otrsd("ticket", "close", number).err
    assert ticket(site, number).state == "merged"
