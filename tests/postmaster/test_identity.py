"""Identity, control, hijack: rows K01 to K16 of reliability.md §2.

K05's positive half and K15 need agents (step 5); K13 stands with the duplicates.
"""

from __future__ import annotations

from typing import Any

import pytest

from otrsd.desk import tickets
from otrsd.mime.parse import parse
from otrsd.model.changes import Changes
from otrsd.postmaster.parts import Standing
from otrsd.store import articles, history, tickets as rows
from otrsd.testing import Site, mail_octets
from tests.postmaster.writing import (
    AGENT,
    answered,
    changing,
    configure,
    deliver,
    judged,
    owed,
    suppressed,
)

STEERED = """
  any control header: {when: {header.x-otrs-queue: "*"}, then: {tag: steered}}
  another: {when: {header.x-otrsd-state: "*"}, then: {tag: steered}}
  folded: {when: {header.x-otrsd-priority: "*"}, then: {tag: steered}}
"""


@pytest.fixture
def site(otrsd_app: Site) -> Site:
    configure(otrsd_app)
    return otrsd_app


def defects(site: Site, outcome: Any) -> str:
    with site.app.database.read() as connection:
        return "; ".join(
            articles.facts(connection, outcome.article_id).get("defects", ())
        )


def people(site: Site, outcome: Any) -> set[str]:
    with site.app.database.read() as connection:
        return set(rows.participants(connection, outcome.ticket_id))


def close(site: Site, outcome: Any) -> None:
    with changing(site, outcome) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="closed successful"), AGENT)


@pytest.mark.parametrize("channel", ["smtp", "lmtp", "pipe", "pop3", "imap"])
def test_k01_a_control_header_steers_nothing_and_is_named(
    otrsd_app: Site, channel: str
):
    configure(otrsd_app, more=f"rules:{STEERED}")
    head = (
        b"X-OTRS-Queue: silent\nx-otrs-QUEUE: silent\n"
        b"X-Otrsd-State: =?utf-8?q?closed?=\n"
        b"X-OTRSD-Priority:\n =?utf-8?q?very?=\n high\n"
        b"X-OTRS-Ignore: yes\n"
    )
    octets = head + mail_octets(Message_ID="<1@customer.example>")
    outcome = otrsd_app.deliver(
        octets, rcpt_tos=("support@example.com",), channel=channel
    )
    ticket = otrsd_app.ticket(outcome.ticket_id)
    assert (ticket.queue, ticket.state, ticket.priority) == ("support", "new", 3)
    assert ticket.tags == ()
    told = "ignored control header: X-OTRS-Queue, x-otrs-QUEUE, X-Otrsd-State"
    assert told in defects(otrsd_app, outcome)


def test_k01_a_rule_sees_it_on_a_trusted_channel_only(otrsd_app: Site):
    configure(otrsd_app, more=f"rules:{STEERED}")
    octets = b"X-OTRS-Queue: silent\n" + mail_octets()
    outcome = otrsd_app.deliver(octets, trusted=True)
    assert otrsd_app.ticket(outcome.ticket_id).tags == ("steered",)
    assert defects(otrsd_app, outcome) == ""


def test_k01_one_in_an_attached_mail_is_no_header_of_this_one(otrsd_app: Site):
    configure(otrsd_app, more=f"rules:{STEERED}")
    inner = "--b\nContent-Type: message/rfc822\n\nX-OTRS-Queue: silent\n\nx\n--b--\n"
    kind = "multipart/mixed; boundary=b"
    octets = mail_octets(inner, Content_Type=kind)
    outcome = otrsd_app.deliver(octets, trusted=True)
    assert otrsd_app.ticket(outcome.ticket_id).tags == ()


@pytest.mark.parametrize(
    "subject", ["[Ticket#{}] hello", "Ticket#{}", "\uff34icket#: {}", "Re: [TICKET#{}]"]
)
def test_k02_a_strangers_number_makes_a_linked_ticket_and_tells_nothing(
    site: Site, subject: str
):
    first = deliver(site, body="Our secret is 4711.\n")
    close(site, first)
    number = site.ticket(first.ticket_id).number
    eve = deliver(site, 2, From="eve@evil.example", Subject=subject.format(number))
    assert eve.ticket_id != first.ticket_id
    assert len(site.articles(first.ticket_id or 0)) == 2
    assert site.ticket(first.ticket_id).state == "closed successful"
    assert "takes no part" in site.articles(eve.ticket_id or 0)[1].text
    assert all("4711" not in parcel.octets for parcel in owed(site))
    assert "eve@evil.example" not in people(site, first)


@pytest.mark.parametrize("name", ["In_Reply_To", "References"])
def test_k03_forged_references_join_nothing_without_token_or_part(
    site: Site, name: str
):
    first = deliver(site)
    fields = {name: "<1@customer.example>"}
    assert deliver(site, 2, From="eve@evil.example", **fields).is_new
    assert deliver(site, 3, **fields).ticket_id == first.ticket_id


def test_k04_a_disowned_sender_is_heard_and_changes_nothing(site: Site):
    first = deliver(site)
    with changing(site, first) as (unit, ticket):
        tickets.change(unit, ticket, Changes(state="pending reminder"), AGENT)
    fields = {"References": "<1@customer.example>", "Cc": "mallory@evil.example"}
    forged = judged(site, Standing.DENIED, 2, **fields)
    ticket = site.ticket(first.ticket_id)
    assert (forged.ticket_id, ticket.state) == (ticket.id, "pending reminder")
    assert ticket.tags == ("unverified-sender",)
    assert "unverified" in defects(site, forged)
    assert "mallory@evil.example" not in people(site, first)
    with site.app.database.read() as connection:
        why = [r for r in history.of_ticket(connection, ticket.id) if r.type == "Misc"]
    assert "unverified" in why[0].data["reason"]


@pytest.mark.parametrize("standing", [Standing.UNKNOWN, Standing.PROVED])
def test_k04_a_sender_whom_nobody_disowns_may_reopen(site: Site, standing: Standing):
    first = deliver(site)
    close(site, first)
    reply = {"References": "<1@customer.example>"}
    assert judged(site, standing, 2, **reply).ticket_id == first.ticket_id
    assert site.ticket(first.ticket_id).state == "open"
    assert site.ticket(first.ticket_id).tags == ()


def test_k04_our_own_token_proves_more_than_a_domain(site: Site):
    first = deliver(site)
    ours = answered(site, first).message_id
    close(site, first)
    judged(site, Standing.DENIED, 2, In_Reply_To=ours)
    assert site.ticket(first.ticket_id).state == "open"


def test_k04_no_plugin_changes_a_ticket_by_a_disowned_mail(site: Site):
    first = deliver(site)
    site.plugin(
        "eager",
        "from otrsd import Changes, hookimpl\n\n\n@hookimpl\n"
        "def amend_ticket(mail, envelope, draft):\n"
        "    return Changes(state='closed successful', owner='eve', tags=('seen',))\n",
    )
    judged(site, Standing.DENIED, 2, References="<1@customer.example>")
    ticket = site.ticket(first.ticket_id)
    assert (ticket.state, ticket.owner) == ("new", "")
    assert ticket.tags == ("seen", "unverified-sender")
    with site.app.database.read() as connection:
        why = [r for r in history.of_ticket(connection, ticket.id) if r.type == "Misc"]
    assert why[0].data["suppressed"] == "changes"


@pytest.mark.parametrize(
    "author",
    [
        "kim@customer.example)eve@evil.example",
        "kim@customer.example@evil.example",
        "<kim@customer.example>eve@evil.example",
        "kim@customer.example, eve@evil.example",
        "=?utf-8?q?kim=40customer.example=00?=@evil.example",
    ],
)
def test_k06_a_from_that_two_programs_read_differently_is_nobody(
    site: Site, author: str
):
    first = deliver(site)
    second = deliver(site, 2, From=author, References="<1@customer.example>")
    assert second.ticket_id != first.ticket_id
    assert "no identity" in site.articles(second.ticket_id or 0)[1].text


@pytest.mark.parametrize(
    "fields",
    [
        {"From": "eve@evil.example", "Reply_To": "kim@customer.example"},
        {"From": "eve@evil.example", "Sender": "kim@customer.example"},
        {"From": "kim@customer.example, eve@evil.example"},
        {"From": "eve@evil.example", "Resent_From": "kim@customer.example"},
    ],
)
def test_k07_reply_to_and_sender_say_nothing_of_who_writes(
    site: Site, fields: dict[str, str]
):
    deliver(site)
    second = deliver(site, 2, References="<1@customer.example>", **fields)
    assert second.is_new
    assert "kim@customer.example" not in people(site, second)


def test_k07_b23_reply_to_decides_where_the_answer_goes(site: Site):
    outcome = deliver(site, Reply_To="desk@customer.example")
    assert site.ticket(outcome.ticket_id).customer == "kim@customer.example"
    assert answered(site, outcome).to_text == "desk@customer.example"


def test_k08_a_code_that_comes_to_a_ticket_is_sent_to_nobody(otrsd_app: Site):
    configure(otrsd_app, options=", recipient_delimiter: '+'")
    site = otrsd_app
    first = deliver(site, From="eve@evil.example", Cc="mallory@evil.example")
    number = site.ticket(first.ticket_id).number
    address = site.app.letterhead().tokens.reply_address(
        "support@example.com", "+", number
    )
    before = len(owed(site))
    code = deliver(site, 2, From="no-reply@shop.example", To=address, rcpt=address)
    assert code.ticket_id == first.ticket_id
    assert len(owed(site)) == before
    assert "new-person" in site.ticket(first.ticket_id).tags
    assert "no-reply@shop.example" not in people(site, first)


def test_k09_a_disowned_sender_gets_no_automatic_answer(site: Site):
    forged = judged(site, Standing.DENIED)
    assert owed(site) == []
    assert "DMARC" in suppressed(site, forged)


@pytest.mark.parametrize(
    "author",
    ['"kim@customer.example" <eve@evil.example>', "Support Team <eve@evil.example>"],
)
def test_k10_a_display_name_is_no_address_and_the_true_one_is_shown(
    site: Site, author: str
):
    deliver(site)
    second = deliver(site, 2, From=author, References="<1@customer.example>")
    assert second.is_new
    assert site.ticket(second.ticket_id).customer == "eve@evil.example"
    assert "<eve@evil.example>" in site.articles(second.ticket_id or 0)[0].from_text


@pytest.mark.parametrize("command", ["/merge #{}", "merge {}", "/bounce", "/split"])
def test_k11_no_command_by_mail_merges_or_splits(site: Site, command: str):
    first, second = deliver(site), deliver(site, 2)
    number = site.ticket(first.ticket_id).number
    body = command.format(number) + "\n"
    deliver(site, 3, body=body, Subject=body.strip())
    deliver(site, 4, body=body, References="<2@customer.example>")
    states = {site.ticket(each.ticket_id).state for each in (first, second)}
    assert "merged" not in states
    assert [t.merged_into for t in site.tickets()] == [None] * 3


@pytest.mark.parametrize(
    "author",
    [
        "Kim@customer.example",
        "k.im@customer.example",
        "kim+x@customer.example",
        "kim@cust\u043emer.example",
        "kim@customer.example.evil.example",
        "kim@sub.customer.example",
    ],
)
def test_k12_a_variant_of_an_address_is_somebody_else(site: Site, author: str):
    deliver(site)
    assert deliver(site, 2, From=author, References="<1@customer.example>").is_new


def test_k12_only_the_domain_is_case_folded(site: Site):
    first = deliver(site)
    again = deliver(
        site, 2, From="kim@CUSTOMER.Example", References="<1@customer.example>"
    )
    assert again.ticket_id == first.ticket_id


@pytest.mark.parametrize(
    "sign", ["{{ ticket.number }}", "{{ 7*7 }}", "${7*7}", "%s", "<OTRS_TICKET_ID>"]
)
def test_k14_template_signs_of_a_mail_are_never_expanded(otrsd_app: Site, sign: str):
    more = 'templates: {received: {subject: "{{ ticket.title }}", text: "Thanks"}}'
    configure(otrsd_app, more=more)
    outcome = deliver(otrsd_app, Subject=sign, body=f"{sign}\n")
    (parcel,) = owed(otrsd_app)
    assert sign in parcel.subject
    received = otrsd_app.articles(outcome.ticket_id or 0)[0]
    assert (received.subject, received.text.strip()) == (sign, sign)


def test_k16_a_guessed_number_opens_nothing(otrsd_app: Site):
    configure(otrsd_app, options=", recipient_delimiter: '+'")
    first = deliver(otrsd_app)
    number = otrsd_app.ticket(first.ticket_id).number
    for n, rcpt in enumerate(
        (
            f"support+r.{number}@example.com",
            f"support+{number}@example.com",
            f"support+r.{number}.{'a' * 16}@example.com",
            f"support+r.{int(number) + 1}.{'a' * 16}@example.com",
        )
    ):
        assert deliver(otrsd_app, 2 + n, From="eve@evil.example", rcpt=rcpt).is_new


def test_h27_of_ten_thousand_references_the_nearest_fifty_are_looked_up():
    many = " ".join(f"<{n}@x>" for n in range(10_000))
    mail = parse(mail_octets(References=many, In_Reply_To="<near@x>"))
    assert len(mail.references) == 50
    assert mail.references[:2] == ("<near@x>", "<9999@x>")
