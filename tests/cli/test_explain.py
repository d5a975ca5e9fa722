"""otrsd explain: a file, a ticket, a mail that waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrsd.ids import RANDOM_OCTETS, new_id
from otrsd.model.envelope import Envelope
from otrsd.spool import Arrival
from otrsd.testing import Site
from tests.cli.conftest import Golden, MakeMail, Otrsd


@pytest.fixture
def invoice(make_mail: MakeMail) -> bytes:
    return make_mail(Subject="Your invoice RE-17", Message_ID="<7@customer.example>")


def test_a_file_makes_a_dry_run(
    otrsd: Otrsd, site: Site, tmp_path: Path, invoice: bytes, golden: Golden
):
    (tmp_path / "a.eml").write_bytes(invoice)
    ran = otrsd("explain", str(tmp_path / "a.eml"))
    golden("explain-file", ran.out)
    assert site.tickets() == ()


def test_stdin_is_a_file_too(otrsd: Otrsd, site: Site, invoice: bytes):
    (told,) = otrsd("explain", "-", "--json", stdin=invoice).json
    assert told["dry_run"] is True
    assert told["result"].startswith("would open a ticket in billing")


def test_a_ticket_is_told_from_its_stored_trace(
    otrsd: Otrsd, site: Site, invoice: bytes, golden: Golden
):
    number = site.ticket(site.deliver(invoice).ticket_id).number
    golden("explain-ticket", otrsd("explain", number).out)


@pytest.mark.parametrize("name", ["<7@customer.example>", "7@customer.example", "#1"])
def test_a_delivered_mail_has_other_names(
    otrsd: Otrsd, site: Site, invoice: bytes, name: str
):
    site.deliver(invoice)
    (told,) = otrsd("explain", name, "--json").json
    assert told["dry_run"] is False
    assert [rule["rule"] for rule in told["rules"] if rule["matched"]] == ["invoices"]


def test_a_held_mail_is_tried_dry(
    otrsd: Otrsd, site: Site, make_mail: MakeMail, golden: Golden
):
    outcome = site.deliver(make_mail(Subject="hold me"))
    golden("explain-held", otrsd("explain", outcome.spool_id).out)


def test_a_discarded_mail_is_known_by_its_spool_id(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
):
    outcome = site.deliver(make_mail(Subject="SPAM"))
    ran = otrsd("explain", outcome.spool_id)
    assert "MATCH: subject contains 'SPAM'" in ran.out
    assert ran.out.endswith("result: discarded: it is in the trash\n")


def test_a_mail_that_waits_is_tried_with_its_own_envelope(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
):
    spool_id = new_id(site.clock.now(), bytes(RANDOM_OCTETS))
    to = ("billing@example.com",)
    envelope = Envelope(rcpt_tos=to, received_at=site.clock.now())
    site.app.spool.put([Arrival.of(spool_id, envelope, [make_mail()])])
    assert "would open a ticket in billing" in otrsd("explain", spool_id).out


@pytest.mark.parametrize("name", ["nothing", "#99", "a@b.example", "x" * 400, "\0"])
def test_nothing_known_is_exit_3_with_commands_to_try(
    otrsd: Otrsd, site: Site, name: str
):
    ran = otrsd("explain", name)
    assert (ran.code, ran.out) == (3, "")
    assert "Try: otrsd ticket list" in ran.err


def test_explain_never_steers_the_terminal(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
):
    mail = make_mail(Subject="\x1b]0;owned\x07 \u202e", From="\x1b[2J <a@b.example>")
    for form in ([], ["--json"]):
        ran = otrsd("explain", "-", *form, stdin=mail)
        assert not {"\x1b", "\x07", "\u202e"} & set(ran.out)
