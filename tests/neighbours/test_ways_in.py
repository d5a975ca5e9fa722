"""The three ways from a real Postfix to a ticket, with the daemon up and away."""

from __future__ import annotations

import pytest

from bench.waiting import until
from tests.neighbours.conftest import KIM, USER, House, away
from tests.neighbours.postfix import MAILBOX

pytestmark = pytest.mark.slow

#: Address → its queue, and the channel by which its mail comes.
WAYS = {
    "support@example.com": ("support", "lmtp"),
    "desk@tickets.example.com": ("desk", "lmtp"),
    "help@example.com": ("help", "socket"),
    "orders@example.com": ("orders", "pipe"),
}


@pytest.mark.parametrize("address", WAYS)
def test_a_mail_to_an_address_becomes_a_ticket_of_its_queue(house: House, address: str):
    house.swaks(address, f"A question to {address}")
    ticket = house.case(f"A question to {address}").ticket
    envelope = house.envelope(ticket.title)
    assert (ticket.queue, envelope.channel) == WAYS[address]
    assert (envelope.mail_from, envelope.rcpt_tos) == (KIM, (address,))
    assert ticket.customer == KIM


@pytest.mark.parametrize("address", WAYS)
def test_the_null_sender_stays_the_null_sender(house: House, address: str):
    house.swaks(address, f"A report to {address}", sender="<>")
    envelope = house.envelope(f"A report to {address}")
    assert (envelope.mail_from, envelope.rcpt_tos) == ("", (address,))


@pytest.mark.parametrize("address", WAYS)
def test_an_extended_address_is_the_queues_own(house: House, address: str):
    extended = address.replace("@", "+blue@")
    house.swaks(extended, f"Extended: {address}")
    assert house.case(f"Extended: {address}").ticket.queue == WAYS[address][0]
    assert house.envelope(f"Extended: {address}").rcpt_tos == (extended,)


def test_the_alias_runs_as_nobody_and_the_daemon_sees_that(house: House):
    house.swaks("help@example.com", "Who am I?")
    assert house.envelope("Who am I?").peer == "uid:65534"


def test_pipe_takes_all_recipients_of_a_mail_at_once(house: House):
    both = ("orders@example.com", "orders+blue@example.com")
    house.swaks(",".join(both), "For two")
    assert set(house.envelope("For two").rcpt_tos) == set(both)


def test_postfix_goes_on_serving_its_mailboxes(house: House):
    house.swaks(f"support@example.com,{MAILBOX}@example.com", "For both")
    house.case("For both")
    until(
        "it is in the mailbox", lambda: "Subject: For both" in house.postfix.mailbox()
    )


@pytest.mark.parametrize("domain", ["example.com", "tickets.example.com"])
def test_an_address_nobody_has_is_refused_by_postfix_itself(house: House, domain: str):
    with pytest.raises(AssertionError, match=r"550 5\.1\.1"):
        house.swaks(f"supprot@{domain}", "Misspelt")


def test_by_lmtp_and_by_alias_postfix_keeps_the_mail_while_the_daemon_is_away(
    house: House,
):
    with away(house):
        house.swaks("support@example.com,help@example.com", "Is anybody there?")
        until("both have been tried", lambda: len(_reasons(house)) == 2)
        reasons = _reasons(house)
    assert "Connection refused" in reasons["support@example.com"]
    assert "nobody listens" in reasons["help@example.com"]
    house.postfix.flush()
    until("Postfix has delivered both", lambda: not house.postfix.waiting())
    # One mail: the second way finds what the first has brought.
    assert house.case("Is anybody there?").ticket.customer == KIM
    assert house.postfix.results("help@example.com")[-2:] == ["deferred", "sent"]


def test_i06_a_broken_installation_bounces_unless_the_alias_says_75(house: House):
    # The copy that the alias runs has only the pipe: any other verb ends with 1.
    names, bob = ("absent", "broken", "careful"), "bob@customer.example"
    house.swaks(",".join(f"{each}@example.com" for each in names), "Hm", sender=bob)
    try:
        bounce = house.smarthost.next_to(bob)
    finally:
        house.postfix.drop_all()
    results = [house.postfix.results(f"{each}@example.com") for each in names]
    assert results == [["deferred"], ["bounced"], ["deferred"]]
    assert bounce.mail_from == ""


def test_by_pipe_the_mail_is_taken_while_the_daemon_is_away(house: House):
    with away(house):
        house.swaks("orders@example.com", "By night")
        until("it is taken", lambda: not house.postfix.waiting())
        drops = house.site.state / "drop"
        (drop,) = [each for each in drops.iterdir() if each.is_file()]
        assert drop.owner() == USER
    assert house.case("By night").ticket.queue == "orders"
    assert house.postfix.results("orders@example.com")[-1] == "sent"


def test_what_root_does_leaves_nothing_that_the_daemon_may_not_write(house: House):
    # All the other tests look into the site as root.
    house.cases()
    owners = {each.owner() for each in house.site.state.rglob("*")}
    assert owners == {USER}


def _reasons(house: House) -> dict[str, str]:
    return {each["to"]: each["why"] for each in house.postfix.waiting() if each["why"]}
