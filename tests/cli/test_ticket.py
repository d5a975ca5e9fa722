"""otrsd ticket: list, show, history."""

from __future__ import annotations

import pytest

from otrsd.testing import Site
from tests.cli.conftest import Golden, MakeMail, Otrsd

PHOTO = """\
--x
Content-Type: text/plain; charset=utf-8

It burns.
--x
Content-Type: image/jpeg; name="photo.jpg"
Content-Disposition: attachment; filename="photo.jpg"
Content-Transfer-Encoding: base64

/9j/4AAQ
--x--
"""
EVIL = "red \x1b[31m alert \u202egpj.exe"


@pytest.fixture
def question(site: Site, make_mail: MakeMail) -> str:
    """Give the number of a ticket with two mails, one with a photo."""
    first = make_mail(Subject="Printer on fire", Message_ID="<1@customer.example>")
    outcome = site.deliver(first)
    number = site.ticket(outcome.ticket_id).number
    photo = make_mail(
        PHOTO,
        Subject=f"Re: [Ticket#{number}] Printer on fire",
        Message_ID="<2@customer.example>",
        MIME_Version="1.0",
        Content_Type="multipart/mixed; boundary=x",
    )
    site.deliver(photo)
    return str(number)


def test_a_list_is_tsv_in_a_pipe(otrsd: Otrsd, question: str, golden: Golden):
    golden("ticket-list", otrsd("ticket", "list").out)


def test_a_list_as_json_is_one_array_with_times_in_utc(otrsd: Otrsd, question: str):
    (row,) = otrsd("ticket", "list", "--json").json
    assert (row["number"], row["queue"]) == (question, "support")
    assert row["created_at"] == "2026-11-23T10:00:00Z"


def test_a_query_narrows_the_list(
    otrsd: Otrsd, site: Site, question: str, make_mail: MakeMail
):
    site.deliver(make_mail(Subject="Your invoice RE-17", From="a@b.example"))
    rows = otrsd("ticket", "list", "queue:billing", "-tag:spam", "--json").json
    assert [row["title"] for row in rows] == ["Your invoice RE-17"]
    assert rows[0]["fields"] == {"invoice": "RE-17"}


def test_pages_go_on_behind_a_ticket(otrsd: Otrsd, site: Site, make_mail: MakeMail):
    for n in range(3):
        site.deliver(make_mail(Subject=f"Question {n}", From=f"{n}@b.example"))
    first = otrsd("ticket", "list", "-n", "2", "--json")
    numbers = [row["number"] for row in first.json]
    assert f"--after {numbers[-1]}" in first.err
    rest = otrsd("ticket", "list", "-n", "2", "--after", numbers[-1], "--json")
    assert [row["title"] for row in rest.json] == ["Question 0"]
    assert rest.err == ""


def test_a_ticket_is_shown_with_its_articles(
    otrsd: Otrsd, question: str, golden: Golden
):
    golden("ticket-show", otrsd("ticket", "show", question).out)


def test_a_ticket_as_json_has_articles_and_attachments(otrsd: Otrsd, question: str):
    ticket = otrsd("ticket", "show", question, "--json").json
    (attached,) = ticket["articles"][1]["attachments"]
    assert (attached["name"], attached["size"]) == ("photo.jpg", 6)
    assert ticket["participants"] == ["kim@customer.example"]


@pytest.mark.parametrize("name", ["#1", "<2@customer.example>", "1@customer.example"])
def test_a_ticket_has_other_names(otrsd: Otrsd, question: str, name: str):
    assert otrsd("ticket", "show", name, "--json").json["number"] == question


def test_a_stranger_who_quotes_a_number_is_linked(
    otrsd: Otrsd, site: Site, question: str, make_mail: MakeMail
):
    mail = make_mail(Subject=f"[Ticket#{question}] me too", From="x@y.example")
    other = site.ticket(site.deliver(mail).ticket_id).number
    shown = otrsd("ticket", "show", other, "--json").json
    assert [link["number"] for link in shown["links"]] == [question]


def test_raw_gives_the_octets_unchanged(otrsd: Otrsd, site: Site, make_mail: MakeMail):
    octets = make_mail("Gr\u00fc\u00dfe\r\n", Subject="octets")
    number = site.ticket(site.deliver(octets).ticket_id).number
    assert otrsd("ticket", "show", number, "--raw", "1").out.encode() == octets


def test_a_history_names_who_and_because_of_whom(
    otrsd: Otrsd, question: str, golden: Golden
):
    golden("ticket-history", otrsd("ticket", "history", question).out)


@pytest.mark.parametrize("verb", ["show", "history"])
def test_an_unknown_ticket_is_exit_3_with_a_command_to_try(
    otrsd: Otrsd, site: Site, verb: str
):
    ran = otrsd("ticket", verb, "4711")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("otrsd: there is no ticket '4711'")
    assert ran.err.endswith("Try: otrsd ticket list\n")


def test_an_article_that_is_not_there_is_exit_3(otrsd: Otrsd, question: str):
    ran = otrsd("ticket", "show", question, "--raw", "9")
    assert ran.code == 3
    assert "has no article 9, only 2" in ran.err


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_a_mail_says_never_steers_the_terminal(
    otrsd: Otrsd, site: Site, make_mail: MakeMail, form: list[str]
):
    number = site.ticket(site.deliver(make_mail(EVIL, Subject=EVIL)).ticket_id).number
    for command in (("show", number), ("list",), ("history", number)):
        ran = otrsd("ticket", *command, *form)
        assert "alert" in ran.out
        assert not {"\x1b", "\u202e"} & set(ran.out + ran.err)


def test_a_query_without_meaning_shows_the_place(
    otrsd: Otrsd, site: Site, golden: Golden
):
    ran = otrsd("ticket", "list", "queue:support stat:new")
    assert (ran.code, ran.out) == (1, "")
    golden("query-mistake", ran.err)


QUOTING = "Yes.\n\nOn 3 May 2024, Bob wrote:\n" + "> old text\n" * 9 + "\n-- \nKim\n"


def test_a_quote_is_folded_to_one_line(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
) -> None:
    number = site.ticket(site.deliver(make_mail(QUOTING)).ticket_id).number
    shown = otrsd("ticket", "show", number).out
    assert "Yes.\n\n[10 quoted lines]\n\n-- \nKim\n" in shown
    assert QUOTING in otrsd("ticket", "show", number, "--full").out


def test_json_says_what_is_quoted_and_keeps_the_text(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
) -> None:
    number = site.ticket(site.deliver(make_mail(QUOTING)).ticket_id).number
    (article,) = otrsd("ticket", "show", number, "--json").json["articles"]
    found = {
        p["kind"]: article["text"][p["start"] : p["end"]] for p in article["passages"]
    }
    assert found["quote"].startswith("> old text\n")
    assert found["signature"] == "-- \nKim\n"


def test_a_mail_of_quotes_alone_is_shown_whole(
    otrsd: Otrsd, site: Site, make_mail: MakeMail
) -> None:
    number = site.ticket(site.deliver(make_mail("> old text\n" * 9)).ticket_id).number
    assert "> old text\n" * 9 in otrsd("ticket", "show", number).out
