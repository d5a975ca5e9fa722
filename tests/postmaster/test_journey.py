from __future__ import annotations

from datetime import timedelta
from typing import Any

from otrsd.desk import trash as desk_trash
from otrsd.desk.tickets import Who
from otrsd.postmaster import explain
from otrsd.store import history, ledger, trash

REPLY = {"In_Reply_To": "<1@customer.example>", "message_id": "<2@customer.example>"}


def test_a_mail_becomes_a_ticket(office: Any, mail: Any):
    office.deliver(mail())
    ticket = office.ticket()
    assert ticket.number == "2026112310000011"
    assert (ticket.title, ticket.queue, ticket.state) == (
        "Printer on fire",
        "support",
        "new",
    )
    assert ticket.customer == "anna@customer.example"
    assert not office.spool.entries()


def test_B2_a_keyword_rule_routes_and_extracts(office: Any, mail: Any):
    office.deliver(mail(subject="Question on invoice RE-20417"))
    ticket = office.ticket()
    assert ticket.queue == "billing"
    assert ticket.fields == {"invoice": "RE-20417"}
    assert ticket.tags == ("money",)


def test_the_first_rule_to_set_a_field_wins_and_others_add_theirs(
    office: Any, mail: Any
):
    office.deliver(mail(subject="invoice RE-1"))
    assert (office.ticket().queue, office.ticket().priority) == ("billing", 4)


def test_B15_the_recipient_decides_where_no_rule_does(office: Any, mail: Any):
    office.deliver(mail(), rcpt_tos=("Billing+x@Example.COM",))
    assert office.ticket().queue == "billing"


def test_B15_a_pipe_without_recipient_goes_by_the_header(office: Any, mail: Any):
    office.deliver(mail(To="billing@example.com"), rcpt_tos=(), channel="pipe")
    assert office.ticket().queue == "billing"


def test_C2_a_reply_joins_by_reference_and_reopens(office: Any, mail: Any):
    office.deliver(mail())
    office.deliver(mail(subject="Re: printer", **REPLY))
    assert len(office.articles()) == 2
    assert office.ticket().title == "Printer on fire"


def test_C1_a_reply_joins_by_the_subject_tag(office: Any, mail: Any):
    office.deliver(mail())
    tag = f"Re: [Ticket#{office.ticket().number}] Printer"
    office.deliver(mail(subject=tag, message_id="<9@x>"))
    assert len(office.articles()) == 2


def test_two_mails_of_one_batch_that_belong_together_land_together(
    office: Any, mail: Any
):
    office.deliver(mail(), mail(subject="Re: printer", **REPLY))
    assert len(office.articles()) == 2


def test_K02_a_stranger_who_quotes_a_number_gets_a_new_linked_ticket(
    office: Any, mail: Any
):
    office.deliver(mail())
    number = office.ticket().number
    stranger = {"sender": "eve@evil.example", "message_id": "<7@evil.example>"}
    office.deliver(mail(subject=f"[Ticket#{number}] hello", **stranger))
    first, second = office.tickets()
    assert len(office.articles(first)) == 1
    assert "takes no part" in office.articles(second)[1].text
    assert not office.articles(second)[1].visible_to_customer


def test_K03_a_stranger_with_forged_references_gets_a_new_ticket(
    office: Any, mail: Any
):
    office.deliver(mail())
    office.deliver(mail(sender="eve@evil.example", **REPLY))
    assert len(office.tickets()) == 2


def test_K06_a_sender_with_defects_is_nobody(office: Any, mail: Any):
    office.deliver(mail())
    forged = "anna@customer.example)eve@evil.example"
    office.deliver(mail(sender=forged, **REPLY))
    assert len(office.tickets()) == 2


def test_A17_S21_S22_the_same_mail_again_is_dropped(office: Any, mail: Any):
    office.deliver(mail())
    office.deliver(mail())
    assert len(office.articles()) == 1
    with office.post.desk.database.read() as connection:
        rows = history.of_ticket(connection, office.ticket().id)
        outcomes = ledger.read(connection, office.ids)
    assert [row.type for row in rows] == ["NewTicket", "Duplicate"]
    assert [outcomes[i].outcome for i in office.ids] == ["article", "duplicate"]


def test_A17_two_copies_in_one_batch_are_one_article(office: Any, mail: Any):
    office.deliver(mail(), mail())
    assert len(office.articles()) == 1


def test_A17_a_copy_after_the_window_is_a_mail_of_its_own(office: Any, mail: Any):
    office.deliver(mail())
    office.clock.advance(timedelta(days=8))
    office.deliver(mail())
    assert len(office.tickets()) == 2


def test_K13_the_same_message_id_with_another_body_is_kept(office: Any, mail: Any):
    office.deliver(mail(), mail(text="Something else."))
    assert len(office.tickets()) == 2


def test_identical_pipe_mails_without_message_id_are_never_swallowed(
    office: Any, mail: Any
):
    office.deliver(mail(message_id=""), mail(message_id=""), channel="pipe")
    assert len(office.tickets()) == 2


def test_I01_a_longer_copy_after_a_cut_off_pipe_is_a_complete_copy(
    office: Any, mail: Any
):
    whole = mail(text="One.\r\nTwo.\r\nThree.")
    office.deliver(whole[:-12], channel="pipe")
    office.deliver(whole, channel="pipe")
    assert office.articles()[1].subject.endswith("(complete copy)")


def test_B10_a_rule_discards_to_the_trash_without_a_number(office: Any, mail: Any):
    office.deliver(mail(subject="SPAM SPAM"), mail(message_id="<2@x>"))
    with office.post.desk.database.read() as connection:
        (row,) = trash.entries(connection)
    assert (row.cause, row.reason) == ("rule:spam subjects", "spam in the subject")
    assert office.ticket().number == "2026112310000011"


def test_a_rule_holds_until_a_person_releases(office: Any, mail: Any):
    office.deliver(mail(subject="please hold me"))
    assert office.held() == ["rule:suspicious: looks odd"]
    office.spool.release(office.ids[0])
    office.run()
    assert office.ticket().title == "please hold me"


def test_what_a_person_lets_pass_is_routed_by_the_rules_below(office: Any, mail: Any):
    office.deliver(mail(subject="hold me: invoice RE-7"))
    office.spool.release(office.ids[0])
    office.deliver(mail(subject="SPAM? invoice RE-8", message_id="<2@x>"))
    anna = Who(actor="anna", cause="cli")
    desk_trash.restore(office.post.desk, office.spool, 1, anna)
    office.run()
    assert {ticket.queue for ticket in office.tickets()} == {"billing"}
    released, restored = (explain.stored(office.post, i).steps for i in office.ids)
    assert any("a person has released" in step.what for step in released)
    assert any(step.what == "left out of this journey" for step in restored)
    for spool_id in office.ids:
        told = explain.stored(office.post, spool_id).rules or ()
        assert [t.rule for t in told if t.matched][1:] == ["invoices", "late"]


def test_a_crash_between_desk_and_spool_is_a_no_op_the_second_time(
    office: Any, mail: Any
):
    from otrsd.spool import Arrival

    spool_id = office.put(mail())
    claimed = office.spool.claim("dead", 1, now=office.clock.now())
    office.spool.give_back([spool_id], alone=False)
    office.run()
    again = Arrival.of(spool_id, claimed[0].envelope, [claimed[0].content])
    office.spool.put([again])
    office.run()
    assert len(office.articles()) == 1


def test_P7_the_octets_are_kept_unchanged(office: Any, mail: Any):
    from otrsd.store import content

    octets = mail(text="Gr\u00fc\u00dfe\nnul\0lone\rcr").encode() * 3
    office.deliver(octets)
    with office.post.desk.database.read() as connection:
        sha256 = office.articles()[0].content_sha256
        assert content.read(connection, sha256) == octets


def test_P7_a_big_mail_is_stored_in_pieces(office: Any, mail: Any):
    from otrsd.store import content

    octets = mail(text="x" * 3_000_000).encode()
    office.deliver(octets)
    with office.post.desk.database.read() as connection:
        sha256 = office.articles()[0].content_sha256
        assert len(list(content.pieces(connection, sha256))) == 3
        assert content.read(connection, sha256) == octets
