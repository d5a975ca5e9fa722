"""otrsd rules list, test, backtest."""

from __future__ import annotations

from pathlib import Path

from otrsd.testing import Site
from tests.cli.conftest import CONFIG, MakeMail, Otrsd

TESTED = (
    CONFIG
    + """\
    tests:
      - {mail: {subject: invoice RE-1}, expect: {queue: billing, tags: [money]}}
      - {mail: {subject: invoice}, expect: {matched: false}}
"""
)


def test_the_rules_are_listed_in_order(otrsd: Otrsd, site: Site):
    assert [each["name"] for each in otrsd("rules", "list", "--json").json] == [
        "spam subjects",
        "suspicious",
        "invoices",
    ]


def test_rules_whose_tests_hold_are_exit_0(otrsd: Otrsd, site: Site):
    site.configure(TESTED)
    assert (otrsd("rules", "test").out, otrsd("check").code) == (
        "2 tests, 0 failures\n",
        0,
    )


def test_a_test_that_fails_is_an_error_of_check_and_of_rules_test(
    otrsd: Otrsd, site: Site
):
    site.configure(TESTED.replace("[money]", "[moony]"))
    said = "the test of rule 'invoices' fails: tag 'moony' is missing"
    assert said in otrsd("check").out
    ran = otrsd("rules", "test", "invoices")
    assert (ran.code, said in ran.out) == (1, True)


def test_a_rule_that_is_not_there_is_named(otrsd: Otrsd, site: Site):
    ran = otrsd("rules", "test", "nope")
    assert (ran.code, "no rule 'nope'" in ran.err) == (3, True)


def test_a_real_mail_becomes_a_test_without_its_people(
    otrsd: Otrsd, site: Site, make_mail: MakeMail, tmp_path: Path
):
    file = tmp_path / "one.eml"
    file.write_bytes(make_mail("Call me\n", Subject="invoice RE-7"))
    saved = otrsd("rules", "test", "--save", str(file)).out
    assert "kim@customer.example" not in saved
    lines = [f"      {line}\n" for line in saved.splitlines()]
    site.configure(CONFIG + "    tests:\n" + "".join(lines))
    assert otrsd("rules", "test").out == "1 test, 0 failures\n"


def test_a_back_test_tells_what_changed_rules_would_do_with_past_mail(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
):
    site.deliver(make_mail(Subject="invoice RE-1"))
    site.deliver(make_mail(Subject="hello"))
    site.deliver(make_mail(Subject="SPAM"))
    site.configure(CONFIG.replace("billing, fields", "support, fields"))
    told = otrsd("rules", "backtest", "--json").json
    assert told["mails"] == 3
    (moved,) = told["moved"]
    assert (moved["before"]["queue"], moved["after"]["queue"]) == ("billing", "support")
    assert "3 mails, 1 would land elsewhere" in otrsd("rules", "backtest").out


def test_a_back_test_sees_what_is_in_the_trash_and_spares_follow_ups(
    otrsd: Otrsd, site: Site, make_mail: MakeMail, tmp_path: Path
):
    first = site.deliver(make_mail(Subject="hello", Message_ID="<1@customer.example>"))
    site.deliver(
        make_mail(Subject="Re: invoice RE-2", References="<1@customer.example>")
    )
    site.deliver(make_mail(Subject="SPAM"))
    assert first.ticket_id
    file = tmp_path / "new.yaml"
    file.write_text("rules: {all: {then: {queue: billing}}}")
    told = otrsd("rules", "backtest", "--rules", str(file), "--json").json
    assert [
        (each["number"] != "", each["after"].get("queue")) for each in told["moved"]
    ] == [
        (True, "billing"),
        (True, None),
        (False, "billing"),
    ]


def test_a_back_test_without_anything_to_compare_says_what_to_do(
    otrsd: Otrsd, site: Site, tmp_path: Path
):
    ran = otrsd("rules", "backtest")
    assert (ran.code, "--rules FILE" in ran.err) == (3, True)
    file = tmp_path / "new.yaml"
    file.write_text("queues: {}")
    ran = otrsd("rules", "backtest", "--rules", str(file))
    assert (ran.code, "there are no rules in this file" in ran.err) == (1, True)
    ran = otrsd("rules", "backtest", "--since", "soon")
    assert ran.code == 1
