"""Which addresses are ours."""

from __future__ import annotations

import pytest

from otrsd.channels.recipients import Recipients
from tests.channels.conftest import desk_config

OURS = [
    "support@desk.example",
    "SUPPORT@Desk.Example",
    "support@desk.example.",
    "support+ticket.1234@desk.example",
    "help@desk.example",
    "postmaster",
    "Postmaster@desk.example",
    "postmaster@other.example",
    "o'neil/ops@other.example",
]
FOREIGN = ["support@elsewhere.example", "postmaster@elsewhere.example", "x@[127.0.0.1]"]
UNKNOWN = ["nobody@desk.example", "nobody", "support@", "@desk.example", ""]


@pytest.mark.parametrize("address", OURS)
def test_ours(address: str):
    assert Recipients(desk_config()).answer(address).code == 250


@pytest.mark.parametrize("catch_all", ["", "support"])
@pytest.mark.parametrize("address", FOREIGN)
def test_S10_a_foreign_domain_never(address: str, catch_all: str):
    reply = Recipients(desk_config(catch_all=catch_all)).answer(address)
    assert (reply.code, reply.enhanced) == (550, "5.7.1")


@pytest.mark.parametrize("address", UNKNOWN)
def test_unknown(address: str):
    assert Recipients(desk_config()).answer(address).code in {550, 501}


def test_the_catch_all_takes_unknown_recipients_of_our_domains():
    recipients = Recipients(desk_config(catch_all="support"))
    assert recipients.answer("nobody@desk.example").code == 250


@pytest.mark.parametrize(
    "local", ['"root@x"', "a%b", "a!b", "|/bin/sh", "../../x", ";cmd", "-x", "$(id)"]
)
def test_S11_odd_forms_not_even_by_catch_all(local: str):
    recipients = Recipients(desk_config(catch_all="support"))
    assert recipients.answer(f"{local}@desk.example").code in {550, 501}


def test_an_international_domain_in_both_forms():
    from otrsd.config.models import Queue

    config = desk_config().model_copy(
        update={"queues": {"q": Queue(address=("info@müller.example",))}}
    )
    recipients = Recipients(config)
    assert recipients.answer("info@xn--mller-kva.example").accepted
    assert recipients.answer("info@MÜLLER.example").accepted
