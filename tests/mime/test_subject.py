from __future__ import annotations

import pytest

from otrsd.mime.subject import clean_subject, ticket_numbers
from otrsd.mime.visible import visible

NUMBER = "2026112310000011"


@pytest.mark.parametrize(
    "subject",
    [
        f"Re: [Ticket#{NUMBER}] printer",
        f"[TICKET#{NUMBER}]",
        f"your ticket#{NUMBER}, please",
        f"Ticket#: {NUMBER}",
        f"[Ticket#\u200b{NUMBER}]",
        f"[\uff34icket#{NUMBER}] [Ticket#{NUMBER}]",
    ],
)
def test_H24_a_number_is_found_in_every_form(subject: str):
    assert ticket_numbers(subject, "Ticket#") == (NUMBER,)


@pytest.mark.parametrize("subject", ["Ticket 12", "NoTicket#12", "#12", "Ticket#x"])
def test_other_numbers_are_none_of_ours(subject: str):
    assert ticket_numbers(subject, "Ticket#") == ()


@pytest.mark.parametrize(
    ("subject", "clean"),
    [
        (f"AW: Re[4]: [Ticket#{NUMBER}] RE: printer", "printer"),
        (f"[Ticket#{NUMBER}] printer", "printer"),
        ("Antwort: printer: broken", "printer: broken"),
        ("Regarding: printer", "Regarding: printer"),
        ("FW: printer", "FW: printer"),
    ],
)
def test_a_clean_subject_has_no_tag_and_no_re(subject: str, clean: str):
    assert clean_subject(subject, "Ticket#") == clean


def test_control_characters_are_made_visible():
    assert (
        visible("a\x1b]0;x\x07\n\u202eb\u200b") == "a\\x1b]0;x\\x07\\n\\u202eb\\u200b"
    )
    assert visible("a\tö\n", keep="\n\t") == "a\tö\n"
    assert visible("Grüße 😀") == "Grüße 😀"
