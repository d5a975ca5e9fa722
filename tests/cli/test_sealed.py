"""Sealed mail, as people see it (M13)."""

from __future__ import annotations

from otrsd.testing import Site
from tests.cli.conftest import CONFIG, MakeMail, Otrsd
from tests.postmaster.test_sealed import Ring, detached, enveloped, ring

_ = ring  # a fixture
RULE = """\
  signed:
    when: {has: signature}
    then: {tag: signed}
  secret:
    when: {has: encryption, body: Zahnrad}
    then: {tag: secret}
"""


def with_keys(site: Site, ring: Ring) -> None:
    folder = ring.folder
    keys = f"{{smime_keys: '{folder}/us.pem', smime_ca: '{folder}/ca.pem'}}"
    site.configure(f"{CONFIG}{RULE}crypto: {keys}\n")


def test_m13_rules_and_searches_see_the_text_and_the_store_does_not(
    site: Site, otrsd: Otrsd, ring: Ring
):
    with_keys(site, ring)
    inside = detached(ring.kim)
    outcome = site.deliver(enveloped(ring.us, inside.partition(b"1.0\r\n")[2]))
    ticket = site.ticket(outcome.ticket_id)
    assert set(ticket.tags) == {"signed", "secret"}
    assert [found.id for found in site.search("Zahnrad")] == [ticket.id]
    assert "Zahnrad" not in otrsd("ticket", "show", ticket.number, "--raw", "1").out
    shown = otrsd("ticket", "show", ticket.number).out
    assert "signature valid by kim@customer.example; encrypted, opened" in shown


def test_m13_explain_knows_the_text_that_was_inside(
    site: Site, otrsd: Otrsd, ring: Ring
):
    with_keys(site, ring)
    ticket = site.ticket(site.deliver(enveloped(ring.us)).ticket_id)
    told = otrsd("explain", ticket.number).out
    assert "S/MIME: encrypted, opened" in told
    assert "MATCH: has an encryption, body contains 'Zahnrad'" in told


def test_m13_without_keys_it_is_a_ticket_that_says_what_it_is(
    site: Site, otrsd: Otrsd, ring: Ring
):
    ticket = site.ticket(site.deliver(enveloped(ring.us)).ticket_id)
    shown = otrsd("ticket", "show", ticket.number).out
    assert "S/MIME: encrypted, closed; crypto.smime_keys is not set" in shown
    assert "smime.p7m" in shown


def test_a_key_that_is_not_there_is_named_with_its_place(site: Site, otrsd: Otrsd):
    site.configure(CONFIG + "crypto: {smime_ca: nowhere.pem}\n")
    checked = otrsd("check")
    assert checked.code == 1
    assert "'crypto.smime_ca': there is no" in checked.out


def test_words_of_an_attachment_are_told(site: Site, otrsd: Otrsd, make_mail: MakeMail):
    from otrsd.store import part_text

    head = {"Content_Type": "application/pdf", "Content_Disposition": "attachment"}
    ticket = site.ticket(site.deliver(make_mail(body="%PDF", **head)).ticket_id)
    row = part_text.PartText(path="1", reason="protected by a password")
    with site.app.database.write() as connection:
        part_text.replace(connection, 1, [row])
    shown = otrsd("ticket", "show", ticket.number).out
    assert "not searchable: protected by a password" in shown
