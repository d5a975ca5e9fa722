from __future__ import annotations

from typing import Any

from otrsd.model.envelope import Envelope
from otrsd.postmaster import explain


def dry_run(office: Any, content: str) -> explain.Explanation:
    envelope = Envelope(
        mail_from="anna@customer.example",
        rcpt_tos=("support@example.com",),
        received_at=office.clock.now(),
    )
    return explain.dry_run(office.post, content.encode(), envelope)


def test_A14_a_dry_run_tells_the_end_and_leaves_nothing(office: Any, mail: Any):
    told = dry_run(office, mail(subject="invoice RE-7"))
    assert told.end == "would open a ticket in billing, new, priority 4"
    assert not office.tickets()


def test_A14_a_dry_run_tells_of_every_rule(office: Any, mail: Any):
    told = dry_run(office, mail())
    assert told.rules is not None
    assert [rule.matched for rule in told.rules] == [False] * 4


def test_A14_a_dry_run_knows_follow_ups_and_copies(office: Any, mail: Any):
    office.deliver(mail())
    number = office.ticket().number
    assert dry_run(office, mail()).end == (
        f"would be dropped: a copy is in ticket {number}"
    )
    reply = mail(message_id="<2@x>", In_Reply_To="<1@customer.example>")
    assert dry_run(office, reply).end == f"would join ticket {number}, then new"


def test_A14_a_dry_run_tells_of_the_trash(office: Any, mail: Any):
    told = dry_run(office, mail(subject="SPAM"))
    assert told.end == "would be discarded: spam in the subject"


def test_A14_the_stored_trace_tells_who_decided(office: Any, mail: Any):
    office.deliver(mail(subject="invoice RE-7"))
    told = explain.stored(office.post, office.ids[0])
    by_rules = [step for step in told.steps if step.stage == "rule"]
    assert [step.who for step in by_rules] == ["invoices", "late"]
    assert "queue ignored: already set by rule:invoices" in by_rules[1].what


def test_A14_a_mail_is_found_by_number_message_id_and_spool_id(office: Any, mail: Any):
    office.deliver(mail())
    names = (office.ticket().number, "<1@customer.example>", office.ids[0])
    found = {tuple(explain.spool_ids(office.post, name)) for name in names}
    assert found == {(office.ids[0],)}


def test_B6_a_follow_up_takes_no_queue_from_rules(office: Any, mail: Any):
    office.deliver(mail())
    reply = mail(
        subject="Re: invoice RE-9",
        message_id="<2@x>",
        In_Reply_To="<1@customer.example>",
    )
    office.deliver(reply)
    assert office.ticket().queue == "support"
    assert office.ticket().tags == ("money",)
    told = explain.stored(office.post, office.ids[1])
    assert any("ignored for a follow-up: queue" in step.what for step in told.steps)


def test_A14_rules_that_have_changed_since_are_asked_as_they_were(
    office: Any, mail: Any
):
    from dataclasses import replace

    office.deliver(mail())
    changed = replace(office.post, snapshot="another")
    told = explain.stored(changed, office.ids[0])
    assert told.rules is not None
    assert told.rules[0].rule == "spam subjects"
