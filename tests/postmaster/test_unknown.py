"""What a queue does with senders who never had a ticket (features.md B25)."""

from __future__ import annotations

import pytest

from otrsd.desk import trash
from otrsd.postmaster.parts import Standing
from otrsd.testing import Site
from tests.postmaster.test_forward import AGENTS, forward
from tests.postmaster.writing import AGENT, configure, deliver


def test_B25_a_stranger_is_held_until_a_person_lets_him_in(otrsd_app: Site):
    configure(otrsd_app, queue=", unknown_sender: hold")
    held = deliver(otrsd_app)
    assert held.fate == "held"
    assert "never had a ticket" in held.reason
    otrsd_app.app.spool.release(held.spool_id)
    assert deliver(otrsd_app, 2, From="x@y.example").fate == "held"
    assert [t.customer for t in otrsd_app.tickets()] == ["kim@customer.example"]
    # Now he is known.
    assert deliver(otrsd_app, 3).fate == "article"


def test_B25_discarded_is_in_the_trash_and_can_come_back(otrsd_app: Site):
    configure(otrsd_app, queue=", unknown_sender: discard")
    assert deliver(otrsd_app).fate == "trash"
    app = otrsd_app.app
    trash.restore(app.desk(), app.spool, 1, AGENT)
    assert deliver(otrsd_app, 2, From="x@y.example").fate == "trash"
    assert len(otrsd_app.tickets()) == 1


def test_B25_another_queue_and_an_answer_are_open_to_him(otrsd_app: Site):
    configure(otrsd_app, queue=", unknown_sender: hold")
    silent = "silent@example.com"
    first = deliver(otrsd_app, Cc="lee@else.example", rcpt=silent, To=silent)
    assert first.fate == "article"
    lee, first_mail = "lee@else.example", "<1@customer.example>"
    answer = deliver(otrsd_app, 2, From=lee, References=first_mail)
    assert answer.ticket_id == first.ticket_id


@pytest.mark.parametrize("author", ["two@x.example, names@x.example", "@"])
def test_B25_nobody_is_a_stranger_too(otrsd_app: Site, author: str):
    configure(otrsd_app, queue=", unknown_sender: hold")
    assert deliver(otrsd_app, From=author).fate == "held"


def test_B25_what_an_agent_forwards_is_let_in(otrsd_app: Site):
    configure(otrsd_app, options=AGENTS, queue=", unknown_sender: hold")
    kim = "Kim <kim@customer.example>"
    assert forward(otrsd_app, Standing.UNKNOWN, kim).fate == "held"
    assert forward(otrsd_app, Standing.PROVED, kim).fate == "article"
