"""Mail to closed and to merged tickets (features.md C7, C8)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from otrsd.desk import merging, tickets
from otrsd.model.changes import Changes
from otrsd.model.ticket import Ticket
from otrsd.postmaster.parts import Outcome
from otrsd.store import history, tickets as rows
from otrsd.testing import Site
from tests.postmaster.test_reports import report, reported
from tests.postmaster.writing import (
    AGENT,
    answered,
    changing,
    configure,
    deliver,
    owed,
    suppressed,
)

REPLY = {"References": "<1@customer.example>", "Subject": "Re: A question"}


def closed(site: Site, policy: str) -> Outcome:
    """Return the first mail's ticket, closed, in a queue with this policy."""
    configure(site, queue=policy)
    first = deliver(site)
    with changing(site, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)
    # Somebody unknown gets one automatic mail a day (row K09).
    site.clock.advance(timedelta(days=1, minutes=1))
    return first


def told(site: Site, outcome: Outcome, kind: str = "Misc") -> list[str]:
    with site.app.database.read() as connection:
        found = history.of_ticket(connection, outcome.ticket_id or 0)
    return [str(row.data["reason"]) for row in found if row.type == kind]


def linked(site: Site, outcome: Outcome) -> set[tuple[int, str]]:
    with site.app.database.read() as connection:
        return set(rows.links(connection, outcome.ticket_id or 0))


def test_c7_possible_appends_and_reopens(otrsd_app: Site):
    first = closed(otrsd_app, ", follow_up: possible")
    assert deliver(otrsd_app, 2, **REPLY).ticket_id == first.ticket_id
    assert otrsd_app.ticket(first.ticket_id).state == "open"


def test_c7_new_ticket_is_a_linked_one_without_the_old_tag(otrsd_app: Site):
    first = closed(otrsd_app, ", follow_up: new_ticket")
    number = otrsd_app.ticket(first.ticket_id).number
    second = deliver(otrsd_app, 2, Subject=f"Re: [Ticket#{number}] Once more")
    assert second.is_new
    assert linked(otrsd_app, second) == {(first.ticket_id, "continues")}
    assert otrsd_app.ticket(second.ticket_id).title == "Once more"
    article, note, *_ = otrsd_app.articles(second.ticket_id or 0)
    assert number not in article.subject
    assert number in note.text
    assert "takes no mail to closed tickets" in told(otrsd_app, first)[0]
    assert otrsd_app.ticket(first.ticket_id).state == "closed successful"
    # It is a new ticket to the customer, too.
    assert len(owed(otrsd_app)) == 2


def test_c7_new_ticket_goes_where_the_mail_is_routed(otrsd_app: Site):
    closed(otrsd_app, ", follow_up: new_ticket")
    second = deliver(otrsd_app, 2, rcpt="silent@example.com", **REPLY)
    assert second.queue == "silent"


def test_c7_a_plugin_may_place_the_new_ticket(otrsd_app: Site):
    closed(otrsd_app, ", follow_up: new_ticket")
    otrsd_app.plugin(
        "placing",
        "from otrsd import Changes, hookimpl\n\n\n@hookimpl\n"
        "def amend_ticket(mail, envelope, draft):\n"
        "    return Changes(queue='silent', state='open', owner='joe')\n",
    )
    second = otrsd_app.ticket(deliver(otrsd_app, 2, **REPLY).ticket_id)
    assert (second.queue, second.state, second.owner) == ("silent", "open", "joe")


MERGED = """
from otrsd import Changes, hookimpl


@hookimpl
def find_ticket(mail, envelope, tickets):
    return {id}


@hookimpl
def amend_ticket(mail, envelope, draft):
    seen = draft.tickets.by_id({id}), draft.tickets.by_number("{number}")
    tags = tuple(f"{{n}} {{each.state}}" for n, each in enumerate(seen))
    return Changes(tags=tags), Changes(ticket_id={id}, priority=5)
"""


def test_c8_a_plugin_that_names_a_merged_ticket_gets_the_main_one(otrsd_app: Site):
    configure(otrsd_app)
    one, main = deliver(otrsd_app), deliver(otrsd_app, 2)
    into(otrsd_app, one, main)
    number = otrsd_app.ticket(one.ticket_id).number
    otrsd_app.plugin("finding", MERGED.format(id=one.ticket_id, number=number))
    outcome = deliver(otrsd_app, 3, From="nagios@monitor.example")
    assert (outcome.ticket_id, outcome.failures) == (main.ticket_id, {})
    ticket = otrsd_app.ticket(main.ticket_id)
    assert (ticket.tags, ticket.priority) == (("0 new", "1 new"), 5)
    assert otrsd_app.ticket(one.ticket_id).priority == 3


def test_c7_within_some_days_it_is_possible_then_a_new_ticket(otrsd_app: Site):
    first = closed(otrsd_app, ", follow_up_within: 30d")
    otrsd_app.clock.advance(timedelta(days=31))
    late = deliver(otrsd_app, 2, **REPLY)
    assert late.ticket_id != first.ticket_id
    assert "after 30 days" in told(otrsd_app, first)[0]
    configure(otrsd_app, queue=", follow_up_within: 40d")
    assert deliver(otrsd_app, 3, **REPLY).ticket_id == first.ticket_id


def test_c7_reject_files_answers_and_changes_nothing(otrsd_app: Site):
    first = closed(otrsd_app, ", follow_up: reject")
    second = deliver(otrsd_app, 2, **REPLY)
    ticket = otrsd_app.ticket(first.ticket_id)
    assert (second.ticket_id, ticket.state) == (ticket.id, "closed successful")
    received, rejected = owed(otrsd_app)
    assert "This ticket is closed" in rejected.subject
    assert rejected.rcpt_tos == received.rcpt_tos
    assert "takes no mail" in told(otrsd_app, first)[0]


def test_c7_a_rejection_is_under_the_loop_guard(otrsd_app: Site):
    first = closed(otrsd_app, ", follow_up: reject")
    deliver(otrsd_app, 2, **REPLY, Precedence="bulk")
    assert "bulk" in suppressed(otrsd_app, first)
    for n in range(3, 6):
        deliver(otrsd_app, n, **REPLY)
    assert len(owed(otrsd_app)) == 2
    assert "of this ticket" in told(otrsd_app, first, "LoopProtection")[-1]


def test_c7_a_rejection_says_nothing_where_no_template_is_wanted(otrsd_app: Site):
    closed(otrsd_app, ", follow_up: reject, auto_reject: ''")
    deliver(otrsd_app, 2, **REPLY)
    assert len(owed(otrsd_app)) == 1


@pytest.mark.parametrize("policy", ["reject", "new_ticket"])
def test_c7_a_bounce_and_an_absence_are_filed_whatever_the_policy(
    otrsd_app: Site, policy: str
):
    configure(otrsd_app, queue=f", follow_up: {policy}")
    first = deliver(otrsd_app)
    ours = answered(otrsd_app, first).message_id
    with changing(otrsd_app, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)
    away = {"Auto_Submitted": "auto-replied", "In_Reply_To": ours}
    assert deliver(otrsd_app, 2, **away).ticket_id == first.ticket_id
    assert otrsd_app.ticket(first.ticket_id).state == "closed successful"
    assert "vacation" in told(otrsd_app, first)[0]
    assert reported(otrsd_app, first).ticket_id == first.ticket_id
    assert otrsd_app.ticket(first.ticket_id).state == "open"


def test_c7_a_token_of_a_stranger_is_under_the_same_policy(otrsd_app: Site):
    configure(otrsd_app, queue=", follow_up: new_ticket")
    first = deliver(otrsd_app)
    ours = answered(otrsd_app, first).message_id
    with changing(otrsd_app, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)
    second = deliver(otrsd_app, 2, From="lee@else.example", In_Reply_To=ours)
    assert linked(otrsd_app, second) == {(first.ticket_id, "continues")}


def into(site: Site, one: Outcome, main: Outcome) -> Ticket:
    with changing(site, one) as (unit, ticket):
        other = unit.ticket(main.ticket_id or 0)
        assert other is not None
        return merging.merge(unit, ticket, other, AGENT)


def test_c8_what_comes_for_a_merged_ticket_follows_it(otrsd_app: Site):
    configure(otrsd_app, options=", recipient_delimiter: '-'")
    site = otrsd_app
    one, main = deliver(site), deliver(site, 2, From="lee@customer.example")
    ours = answered(site, one).message_id
    number = site.ticket(one.ticket_id).number
    tokens = site.app.letterhead().tokens
    address = tokens.reply_address("support@example.com", "-", number)
    last = into(site, one, into_another(site, main))
    for n, fields in enumerate(
        (
            {"Subject": f"[Ticket#{number}] again"},
            {"References": "<1@customer.example>"},
            {"In_Reply_To": ours, "From": "new@else.example"},
            {"rcpt": address, "From": "newer@else.example"},
        )
    ):
        assert deliver(site, 10 + n, **fields).ticket_id == last.id, fields
    stranger = deliver(site, 20, From="eve@x.example", Subject=f"[Ticket#{number}]")
    assert linked(site, stranger) == {(last.id, "quotes")}


def into_another(site: Site, main: Outcome) -> Outcome:
    """Merge that one into a third; the first is merged into the end of it."""
    third = deliver(site, 3, From="max@customer.example")
    into(site, main, third)
    return third


def test_c8_a_bounce_of_a_merged_ticket_lands_on_the_main_one(otrsd_app: Site):
    configure(otrsd_app)
    one, main = deliver(otrsd_app), deliver(otrsd_app, 2)
    answered(otrsd_app, one)
    into(otrsd_app, one, main)
    sent = otrsd_app.articles(one.ticket_id or 0)
    message_id = next(a for a in sent if a.kind == "mail_out").message_id
    outcome = report(otrsd_app, message_id)
    assert outcome.ticket_id == main.ticket_id


def test_c8_words_of_a_merged_ticket_find_the_main_one(otrsd_app: Site):
    configure(otrsd_app)
    one = deliver(otrsd_app, body="The zeppelin burns.\n")
    main = deliver(otrsd_app, 2)
    assert [t.id for t in otrsd_app.search("zeppelin")] == [one.ticket_id]
    into(otrsd_app, one, main)
    assert [t.id for t in otrsd_app.search("zeppelin is:open")] == [main.ticket_id]
    number = otrsd_app.ticket(one.ticket_id).number
    assert [t.id for t in otrsd_app.search(f"number:{number}")] == [one.ticket_id]
    assert [t.id for t in otrsd_app.search(number)] == [main.ticket_id]


def test_c8_a_copy_of_a_mail_of_a_merged_ticket_is_still_a_copy(otrsd_app: Site):
    configure(otrsd_app)
    one, main = deliver(otrsd_app), deliver(otrsd_app, 2)
    into(otrsd_app, one, main)
    assert deliver(otrsd_app).fate == "duplicate"
