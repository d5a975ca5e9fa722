"""What plugins must not be able to break: columns, states, other people's tickets."""

from __future__ import annotations

from typing import Any

import pytest

from otrsd.store import history

LIES = """
from otrsd import Changes, PluginState, hookimpl
THIS_TICKET = 0
@hookimpl
def ticket_keys(mail, envelope):
    return ["k\\udcff\\0" + "x" * 300]
@hookimpl
def find_ticket(mail, tickets):
    return 2 ** 62 if "unknown" in mail.subject else None
@hookimpl
def amend_ticket(mail, draft):
    return [LIE]
"""


def lie(changes: str) -> str:
    return LIES.replace("LIE", changes)


@pytest.mark.parametrize(
    "changes",
    [
        "Changes(tags=('t' * 300, 'a\\0b', 'c\\udcff'))",
        "Changes(owner='o\\udcff' * 300)",
        "Changes(open_key='k\\0' * 300)",
        "Changes(priority=9)",
        "Changes(state='nowhere', queue='nowhere')",
        "Changes(title='\\udcff\\0' * 900, note='\\udcff\\0')",
        "Changes(fields={'a\\udcff\\0': 'b\\udcff\\0'})",
        "Changes(ticket_id=2**62, queue='junk')",
        "Changes(ticket_id=2**70, queue='junk')",
        "Changes(ticket_id=-1, queue='junk')",
        (
            "Changes(plugin_state={'k\\udcff\\0': PluginState("
            "value={'v\\udcff\\0': '\\udcff\\0'}, ticket_id=THIS_TICKET)})"
        ),
    ],
)
@pytest.mark.parametrize("plugin", [""])
def test_a_lying_plugin_holds_no_mail(
    open_again: Any,
    mail: Any,
    site: str,
    plugin: str,
    changes: str,
):
    office = open_again(site, lie(changes))
    office.deliver(mail(), mail("unknown", message_id="<2@c>"))
    assert [t.queue for t in office.tickets()] == ["support", "support"]
    with office.post.desk.database.read() as connection:
        assert history.verify(connection, b"k" * 32) is None


@pytest.mark.parametrize("plugin", [lie("Changes(discard='d\\udcff\\0')")])
def test_a_reason_that_cannot_be_stored(office: Any, mail: Any):
    office.deliver(mail())
    assert office.held() == []
    assert office.tickets() == []


@pytest.mark.parametrize("plugin", [lie("Changes(open_key='same')")])
def test_a_key_that_another_ticket_holds_is_left_out(office: Any, mail: Any):
    office.deliver(mail(), mail("Second", message_id="<2@c>"))
    assert [t.open_key for t in office.tickets()] == ["same", None]


def test_an_envelope_of_undecodable_octets(office: Any, mail: Any):
    office.deliver(mail(), mail_from="\udcff@x.example", rcpt_tos=("\udcfe@y.example",))
    assert office.held() == []
    assert office.ticket().title == "Printer on fire"


def test_addresses_that_differ_only_in_case_both_take_part(office: Any, mail: Any):
    office.deliver(mail(Cc="Bob@b.example, bob@b.example, b\u00f6b@b.example"))
    assert office.held() == []
    assert office.ticket().title == "Printer on fire"


def test_a_stranger_who_repeats_a_message_id_does_not_hide_it(office: Any, mail: Any):
    office.deliver(mail())
    office.deliver(
        mail(
            "Mine", sender="mallory@evil.example", text="x", Cc="anna@customer.example"
        )
    )
    office.deliver(
        mail("Answer", message_id="<2@c>", In_Reply_To="<1@customer.example>")
    )
    first, _ = office.tickets()
    assert [a.subject for a in office.articles(first)] == ["Printer on fire", "Answer"]
