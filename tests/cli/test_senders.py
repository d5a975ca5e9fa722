"""What is proved about a sender, as people see it (K04)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otrsd.testing import Site
from tests.cli.conftest import CONFIG, MakeMail, Otrsd

HEADER = (
    b"Authentication-Results: mx.example.com; dmarc=fail (p=reject) "
    b"header.from=example.org\nReceived: from x by mx.example.com; today\n"
)
RULE = """\
  forged:
    when: {auth.dmarc: fail}
    then: {tag: forged}
"""


@pytest.fixture
def believing(site: Site) -> Site:
    config = CONFIG.replace("name: Test", "name: Test, authserv_id: mx.example.com")
    site.configure(config + RULE)
    return site


def forged(make_mail: MakeMail, **fields: Any) -> bytes:
    return HEADER + make_mail(**fields)


def test_k04_a_rule_asks_what_our_mta_has_found(
    believing: Site, make_mail: MakeMail, otrsd: Otrsd
):
    ticket = believing.ticket(believing.deliver(forged(make_mail)).ticket_id)
    assert ticket.tags == ("forged",)


def test_ticket_show_tells_what_is_proved(
    believing: Site, make_mail: MakeMail, otrsd: Otrsd
):
    ticket = believing.ticket(believing.deliver(forged(make_mail)).ticket_id)
    shown = otrsd("ticket", "show", ticket.number)
    assert "dmarc=fail (example.org p=reject), says mx.example.com" in shown.out
    value = otrsd("ticket", "show", ticket.number, "--json").json
    assert value["articles"][0]["auth"]["policy"] == "reject"


def test_explain_tells_it_of_a_mail_to_come_and_of_one_that_came(
    believing: Site, make_mail: MakeMail, otrsd: Otrsd, tmp_path: Path
):
    (tmp_path / "mail.eml").write_bytes(forged(make_mail))
    asked = otrsd("explain", str(tmp_path / "mail.eml"))
    assert "sender: dmarc=fail" in asked.out
    ticket = believing.ticket(believing.deliver(forged(make_mail)).ticket_id)
    told = otrsd("explain", ticket.number)
    assert "sender: dmarc=fail" in told.out
    assert "forged" in told.out


def test_where_nobody_is_believed_nothing_is_stored(
    site: Site, make_mail: MakeMail, otrsd: Otrsd
):
    ticket = site.ticket(site.deliver(forged(make_mail)).ticket_id)
    value = otrsd("ticket", "show", ticket.number, "--json").json
    assert value["articles"][0]["auth"] == {}


def test_a_word_that_no_result_has_is_named_with_its_place(site: Site, otrsd: Otrsd):
    site.configure(CONFIG + RULE.replace("fail", "failed"))
    checked = otrsd("check")
    assert checked.code == 1
    assert "'auth.dmarc' is never 'failed' - did you mean 'fail'?" in checked.out


def test_a_search_says_that_only_rules_ask_it(site: Site, otrsd: Otrsd):
    asked = otrsd("search", "auth.dkim:pass")
    assert asked.code != 0
    assert "only rules ask it" in asked.err


@pytest.mark.parametrize(
    ("said", "tag"), [("dmarc=fail (p=reject)", True), ("dmarc=pass", False)]
)
def test_k04_a_participant_whose_domain_disowns_the_mail_is_unverified(
    believing: Site,
    make_mail: MakeMail,
    said: str,
    tag: bool,  # noqa: FBT001 - a parameter
):
    first = believing.deliver(make_mail(From="kim@customer.example"))
    number = believing.ticket(first.ticket_id).number
    head = HEADER.replace(
        b"dmarc=fail (p=reject) header.from=example.org", said.encode()
    )
    second = believing.deliver(
        head + make_mail(From="kim@customer.example", Subject=f"[Ticket#{number}] x")
    )
    assert second.ticket_id == first.ticket_id
    assert ("unverified-sender" in believing.ticket(first.ticket_id).tags) is tag


def test_a_back_test_sees_what_was_proved_and_what_kind_of_mail_it_was(
    believing: Site, make_mail: MakeMail, otrsd: Otrsd, tmp_path: Path
):
    believing.deliver(forged(make_mail, Subject="one"))
    believing.deliver(make_mail(Subject="two", Auto_Submitted="auto-replied"))
    believing.deliver(make_mail(Subject="three"))
    file = tmp_path / "changed.yaml"
    file.write_text(
        "rules: {one: {when: {auth.dmarc: fail}, then: {discard: forged}},"
        " two: {when: {kind: vacation}, then: {discard: away}}}"
    )
    told = otrsd("rules", "backtest", "--rules", str(file), "--json").json
    assert [each["subject"] for each in told["moved"]] == ["one", "two"]
