"""An agent forwards a customer's mail (features.md B24, row K05)."""

from __future__ import annotations

from typing import Any

import pytest

from otrsd.model.ticket import Ticket
from otrsd.postmaster.parts import Standing
from otrsd.testing import Site
from tests.postmaster.writing import (
    answered,
    configure,
    deliver,
    judged,
    owed,
    suppressed,
)

BLOCK = """Please look.

---------- Forwarded message ---------
From: {author}
Date: Mon, 23 Nov 2026
Subject: Printer
To: joe@example.com
"""
AGENTS = ", agents: [joe@example.com]"


def forward(site: Site, standing: Standing, author: str, **fields: Any) -> Any:
    values = {"From": "Joe <joe@example.com>", "Subject": "Fwd: Printer", **fields}
    return judged(site, standing, 1, body=BLOCK.format(author=author), **values)


def test_B24_an_agents_forward_is_the_customers_ticket(otrsd_app: Site):
    configure(otrsd_app, options=AGENTS)
    outcome = forward(otrsd_app, Standing.PROVED, "Kim <kim@customer.example>")
    ticket = otrsd_app.ticket(outcome.ticket_id)
    assert (ticket.customer, ticket.title) == ("kim@customer.example", "Printer")
    (article,) = otrsd_app.articles(ticket.id)
    assert (article.sender_type, article.visible_to_customer) == ("agent", False)
    assert owed(otrsd_app) == []
    assert "an agent has forwarded" in suppressed(otrsd_app, outcome)
    tag = f"[Ticket#{ticket.number}] and more"
    assert deliver(otrsd_app, 2, Subject=tag).ticket_id == ticket.id


def test_B24_the_agents_answer_goes_to_the_customer(otrsd_app: Site):
    configure(otrsd_app, options=AGENTS)
    outcome = forward(otrsd_app, Standing.PROVED, "Kim <kim@customer.example>")
    assert answered(otrsd_app, outcome).to_text == "kim@customer.example"


@pytest.mark.parametrize("standing", [Standing.UNKNOWN, Standing.DENIED])
def test_k05_a_forged_agent_is_a_customer(otrsd_app: Site, standing: Standing):
    configure(otrsd_app, options=AGENTS)
    outcome = forward(otrsd_app, standing, "Kim <kim@customer.example>")
    ticket = otrsd_app.ticket(outcome.ticket_id)
    assert (ticket.customer, ticket.title) == ("joe@example.com", "Fwd: Printer")
    assert otrsd_app.articles(ticket.id)[0].sender_type == "customer"


@pytest.mark.parametrize(
    "author",
    ["Kim", "support@example.com", "joe@example.com", f"<{'x' * 300}@x.example>"],
)
def test_B24_a_forward_that_names_no_customer_is_the_agents_own(
    otrsd_app: Site, author: str
):
    configure(otrsd_app, options=AGENTS)
    outcome = forward(otrsd_app, Standing.PROVED, author)
    assert customer_of(otrsd_app, outcome).customer == "joe@example.com"


@pytest.mark.parametrize(
    "fields",
    [
        {"From": "lee@customer.example"},
        {"From": "JOE@example.com"},
        {"From": '"joe@example.com" <eve@x.example>'},
        {"Sender": "joe@example.com", "From": "eve@x.example"},
        {"Reply_To": "joe@example.com", "From": "eve@x.example"},
        {"Subject": "Printer"},
    ],
)
def test_B24_only_an_agents_forward_counts(otrsd_app: Site, fields: dict[str, str]):
    configure(otrsd_app, options=AGENTS)
    outcome = forward(otrsd_app, Standing.PROVED, "kim@customer.example", **fields)
    assert customer_of(otrsd_app, outcome).customer != "kim@customer.example"


def customer_of(site: Site, outcome: Any) -> Ticket:
    return site.ticket(outcome.ticket_id)
