"""What somebody wrote is told apart from what is quoted, signed and appended."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from otrsd.mime.htmltext import html_to_text
from otrsd.mime.quotes import Kind, divide, reply_text, signature

SAMPLES = Path(__file__).parent / "quotes"
ATTRIBUTIONS = (SAMPLES / "attributions.txt").read_text("utf-8").splitlines()
HEADS = (SAMPLES / "heads.txt").read_text("utf-8").rstrip("\n").split("\n%\n")
SENT_FROM = (SAMPLES / "sent_from.txt").read_text("utf-8").splitlines()
#: Lines of which hostile and ordinary mails are made.
LINES = st.sampled_from(
    [
        *(line.replace("\\n", "\n") for line in ATTRIBUTIONS),
        *(*HEADS, *SENT_FROM, "", "", "Hello,", "> quoted", ">> more", "-- ", "--"),
        *(
            "____________",
            "***",
            "See below:",
            "\r",
            "\u2028",
            "\0",
            ">:",
            " ",
            "x" * 500,
        ),
        *("This e-mail is confidential.", "foo mailing list", "Max", "max@example.de"),
    ]
)


def kinds(text: str) -> list[str]:
    return [passage.kind.value for passage in divide(text)]


@pytest.mark.parametrize("line", ATTRIBUTIONS)
def test_an_attribution_in_any_language_opens_a_quote(line: str):
    line = line.replace("\\n", "\n")
    assert reply_text(f"Answer.\n\n{line}\n\n> old text\n> more\n") == "Answer."
    assert reply_text(f"{line}\n> old text\n\nAnswer.\n") == "Answer."


@pytest.mark.parametrize("line", ATTRIBUTIONS)
def test_a_quote_without_signs_reaches_to_the_end(line: str):
    line = line.replace("\\n", "\n")
    assert reply_text(f"Answer.\n\n{line}\n\nold text\n\nmore\n") == "Answer."


@pytest.mark.parametrize("head", HEADS)
def test_a_header_block_opens_a_quote(head: str):
    assert reply_text(f"Answer.\n\n{head}\n\nold text\n") == "Answer."
    assert reply_text(f"Answer.\n{head}\n> old text\n") == "Answer."


@pytest.mark.parametrize("head", HEADS)
def test_a_mail_passed_on_without_a_word_is_shown(head: str):
    assert "old text" in reply_text(f"{head}\n\nold text\n")


@pytest.mark.parametrize("line", SENT_FROM)
def test_a_telephone_signs(line: str):
    assert reply_text(f"Answer.\n\n{line}\n") == "Answer."
    assert signature(f"Answer.\n\n{line}\n") == line


def test_answers_between_quotes_are_all_kept():
    text = "On 3 May 2024, Bob wrote:\n> one?\n\nYes.\n\n> two?\nNo.\n-- \nAnn\n"
    assert reply_text(text) == "Yes.\n\nNo."
    assert [kind[0] for kind in kinds(text)] == [*"aqrqrs"]


def test_groupwise_draws_arrows_around_its_attribution():
    line = ">>> Help Desk <help@example.com> 11/23/2026 10:15 AM >>>"
    assert reply_text(f"Fine.\n\n{line}\nold\n\nolder\n") == "Fine."
    assert reply_text(f"{line}\n> old\n\nFine.\n") == "Fine."
    assert reply_text("> code\n>>> print(1 >>> 2) >>>\n\nFine.\n") == "Fine."


def test_a_line_that_broke_off_a_quoted_one_is_quoted():
    long = "> " + "word " * 15 + "and"
    assert reply_text(f"Yes.\n\n{long}\nso on it goes.\n> end\n") == "Yes."


def test_a_comment_on_a_forwarded_mail_is_the_reply_and_the_mail_stays_visible():
    head = "---------- Forwarded message ---------\nFrom: a@b.example"
    text = f"Please look.\n\n{head}\n\nIt burns.\n"
    assert reply_text(text) == "Please look."
    assert kinds(text) == ["reply", "forward"]


def test_signature_and_quote_below_it_are_two_things():
    text = "Yes.\n\n-- \nAnn\n\nOn 3 May 2024 at 10:11, Bob wrote:\n\nold\n"
    assert kinds(text) == ["reply", "signature", "attribution", "quote"]
    assert signature(text) == "-- \nAnn"


@pytest.mark.parametrize(
    "text",
    [
        "One: here is what I've got.\n\n- a point\n- another\n\nTwo:\n- a third\n",
        "Steps:\n1. foo\n----\n2. bar\n----\n3. baz\n",
        "New contact form:\n\nFrom: Joe <a@b.example>\nDate: 3.5.2024\n\nHelp me.\n",
        "In this mail Bob wrote:\n\nWe deliver tomorrow.\n\nHe does not.\n",
        "You know that on 3 May he wrote:\n\nWe deliver tomorrow.\n\nHe does not.\n",
        "Sent from our shop was a wrong article, so what now?\n\nBob\n",
        "Here is the password, it is confidential.\n\nPlease change it.\n",
        "Please call:\n\nJoe\njoe@example.com\n",
        ">From the beginning it was bad.\n",
        "The log:\n--\n" + "line\n" * 20,
        "This e-mail is confidential.\n",
        "2024-05-03 17:21 backup started\n2024-05-03 17:22 failed:\nno space\n",
    ],
)
def test_what_only_resembles_a_quote_stays(text: str):
    assert reply_text(text) == text.rstrip("\n")


def test_legal_notices_and_list_footers_are_no_reply():
    notice = "This e-mail and any attachments are confidential."
    assert reply_text(f"Answer.\n\n{notice}\n") == "Answer."
    assert reply_text(f"Answer.\n\n*****\n\nFoo.\n\n{notice}\n\n*****\n") == "Answer."
    footer = "_______________\nusers mailing list\nusers@lists.example\n"
    assert reply_text(f"Answer.\n{footer}") == "Answer."


OUTLOOK = """<p>Answer.</p><div style='border:none;border-top:solid #E1E1E1 1.0pt'>
<p><b>Von:</b> Max &lt;max@example.de&gt;<br><b>Gesendet:</b> Dienstag, 12. März
2024 10:11<br><b>An:</b> Info<br><b>Betreff:</b> Foo</p></div><p>old text</p>"""
GMAIL = """<div>Answer.</div><div class="gmail_quote"><div class="gmail_attr">
On Mon, Apr 2, 2012 at 6:26 PM Max &lt;<a href="mailto:max@example.de">max@example.de
</a>&gt; wrote:<br></div>
<blockquote class="gmail_quote"><p>old text</p><p>more</p></blockquote></div>"""
HOTMAIL = """<p>Answer.</p><hr>Date: Thu, 26 Jun 2014 13:53:45 +0400<br>
Subject: Test<br>From: max@example.de<br>To: info@example.com<br><br>old text"""
PROTON = """Answer.<br><br>------- Original Message -------<br>On Monday, April 2nd,
2012 at 6:26 PM, Max &lt;max@example.de&gt; wrote:<br>
<blockquote>old text</blockquote>"""


WINDOWS = """<div>Answer.</div><div style="border-top-style: solid"><b>From:</b> Max<br>
<b>Sent:</b> Thursday, June 26, 2014<br><b>To:</b> Info</div><div>old text</div>"""


@pytest.mark.parametrize("source", [OUTLOOK, GMAIL, HOTMAIL, PROTON, WINDOWS])
def test_quotes_in_html_are_found_in_its_text(source: str):
    assert reply_text(html_to_text(source)) == "Answer."


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_passages_cover_the_text_exactly(text: str):
    passages = divide(text)
    assert "".join(text[p.start : p.end] for p in passages) == text
    assert all(p.start < p.end for p in passages)
    assert all(a.kind is not b.kind for a, b in pairwise(passages))


@pytest.mark.parametrize(
    "text",
    [
        *("> " * 524_288, ">\n" * 524_288, "\n" * 1_048_576, "--\n" * 349_525),
        *(
            "On " * 349_000 + "wrote:",
            "On 1 2 12:30 wrote:\n" * 50_000,
            ":\n" * 500_000,
        ),
        *("From: a\n\nTo: b\n\n" * 60_000, "-----\nconfidential\n" * 50_000),
        *("----\nFoo: a@b 12:30\n" * 50_000, ("<" * 390 + ":\n> x\n") * 2_600),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_mebibyte_of_hostile_text_takes_no_time(text: str):
    started = time.process_time()
    assert divide(text)
    assert time.process_time() - started < 0.2


def test_nothing_has_no_passages():
    assert divide("") == ()
    assert reply_text("") == signature("") == ""
    assert kinds("\n\n") == [Kind.REPLY]
