from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from otrsd.desk import outgoing, replies, tickets
from otrsd.desk.letterhead import Letterhead, QueueLetters
from otrsd.desk.outgoing import Outgoing, Parcel
from otrsd.desk.replies import Answer, Opening
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.tokens import Claim, Tokens
from otrsd.desk.unit import Desk, Unit
from otrsd.errors import InputError, NotFoundError
from otrsd.language.letters import compile_letters
from otrsd.mime.parse import parse
from otrsd.model.article import Article, ArticleKind, SenderType
from otrsd.model.changes import Changes
from otrsd.model.mail import Address, Mail
from otrsd.model.ticket import STATES, Ticket
from otrsd.store import articles, content, history, outbox

KIM = Address(name="Kim Customer", address="kim@customer.example")
AGENT = Who(actor="joe", cause="cli")
HEAD = Letterhead(
    name="Example Support",
    hook="Ticket#",
    language="en",
    host="tickets.example.com",
    tokens=Tokens(b"k" * 32),
    queues={
        "support": QueueLetters(address="support@example.com", signature="signature"),
        "infra": QueueLetters(address="infra@example.com"),
        "infra::dns": QueueLetters(),
        "mute": QueueLetters(),
    },
    letters=compile_letters({}),
    is_ours=lambda address: address.lower().endswith("@example.com"),
)


@contextmanager
def a_ticket(
    desk: Desk, queue: str = "support", **mail: Any
) -> Iterator[tuple[Unit, Ticket]]:
    """Make a ticket of a mail; give it with a Unit in which to go on."""
    article = NewArticle(
        kind=ArticleKind.MAIL_IN,
        sender_type=SenderType.CUSTOMER,
        visible_to_customer=True,
        subject="Printer",
        from_text=str(mail.pop("author", "Kim Customer <kim@customer.example>")),
        message_id="<2@customer.example>",
        mail=mail,
    )
    with desk.unit() as unit:
        values = Changes(queue=queue, title="Printer on fire")
        made, _ = tickets.create(unit, values, article, AGENT, customer=KIM.address)
    with desk.unit() as unit:
        found = unit.ticket(made.id)
        assert found is not None
        yield unit, found


def parcels(desk: Desk) -> list[Parcel]:
    with desk.database.read() as connection:
        rows = outbox.look(connection, [outgoing.MAIL, outgoing.DEAD])
    return [Parcel.from_json(row.payload) for row in rows]


def sent(desk: Desk) -> Mail:
    """Return the one mail that is owed, as its recipient reads it."""
    (parcel,) = parcels(desk)
    with desk.database.read() as connection:
        return parse(content.read(connection, parcel.sha256))


def stored(desk: Desk, ticket_id: int) -> list[Article]:
    with desk.database.read() as connection:
        return articles.of_ticket(connection, ticket_id)


def types(desk: Desk, ticket_id: int) -> list[str]:
    with desk.database.read() as connection:
        return [row.type for row in history.of_ticket(connection, ticket_id)]


def test_an_answer_is_an_article_a_content_and_a_mail_that_is_owed(desk: Desk):
    with a_ticket(desk, references=["<1@customer.example>"]) as (unit, ticket):
        after = replies.reply(unit, HEAD, ticket, Answer(text="Restart it."), AGENT)
    assert (after.state, after.version) == ("open", ticket.version + 1)
    mail, (parcel,) = sent(desk), parcels(desk)
    article = stored(desk, ticket.id)[-1]
    assert (article.kind, article.sender_type) == ("mail_out", "agent")
    assert article.message_id == mail.message_id == parcel.message_id
    assert article.content_sha256 == parcel.sha256
    assert parcel.mail_from == "support@example.com"
    assert "EmailAgent" in types(desk, ticket.id)


def test_an_answer_as_the_customer_sees_it(desk: Desk):
    with a_ticket(desk, references=["<1@customer.example>"]) as (unit, ticket):
        replies.reply(unit, HEAD, ticket, Answer(text="Restart it."), AGENT)
    mail = sent(desk)
    assert mail.author == Address(name="Example Support", address="support@example.com")
    assert mail.to == (KIM,)
    assert mail.subject == f"[Ticket#{ticket.number}] Re: Printer on fire"
    assert mail.text == "Restart it.\n\n-- \nExample Support\n"
    assert mail.references == ("<2@customer.example>", "<1@customer.example>")
    assert mail.header("In-Reply-To") == "<2@customer.example>"
    assert mail.header("Auto-Submitted") is None
    assert mail.cc == mail.reply_to == ()


@pytest.mark.parametrize(
    ("fields", "to"),
    [
        ({"reply_to": ["lee@customer.example"]}, "lee@customer.example"),
        ({"reply_to": ["support@example.com"]}, KIM.address),
        ({"reply_to": ["not an address", "x@y\r\nz"]}, KIM.address),
        ({"author": "two@x.example, names@x.example"}, KIM.address),
        ({"author": "a@x.example)b@evil.example"}, KIM.address),
    ],
)
def test_where_an_answer_goes(desk: Desk, fields: dict[str, Any], to: str):
    with a_ticket(desk, **fields) as (unit, ticket):
        replies.reply(unit, HEAD, ticket, Answer(text="Hi."), AGENT)
    assert parcels(desk)[0].rcpt_tos == (to,)


def test_a_note_stays_inside(desk: Desk):
    with a_ticket(desk) as (unit, ticket):
        replies.note(unit, ticket, "He is odd.", AGENT)
    article = stored(desk, ticket.id)[-1]
    assert (article.kind, article.visible_to_customer) == ("note", False)
    assert parcels(desk) == []


def test_notes_are_in_no_answer(desk: Desk):
    with a_ticket(desk) as (unit, ticket):
        noted = replies.note(unit, ticket, "He is odd.", AGENT)
        replies.reply(unit, HEAD, noted, Answer(text="Hi."), AGENT)
    assert "odd" not in sent(desk).text


def test_whoever_was_written_to_may_answer(desk: Desk):
    lee = Address(address="lee@customer.example")
    with a_ticket(desk) as (unit, ticket):
        replies.reply(unit, HEAD, ticket, Answer(text="Hi.", cc=(lee,)), AGENT)
        assert unit.is_participant(ticket.id, lee.address)
    assert parcels(desk)[0].rcpt_tos == (KIM.address, lee.address)


def test_the_reply_address_carries_the_token_where_it_is_wanted(desk: Desk):
    head = replace(HEAD, delimiter="+")
    with a_ticket(desk) as (unit, ticket):
        replies.reply(unit, head, ticket, Answer(text="Hi."), AGENT)
    (address,) = sent(desk).reply_to
    assert address.address.startswith(f"support+r.{ticket.number}.")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(text=" \n"), "no text"),
        (Answer(text="Hi.", to=(Address(address="x@y\r\nz"),)), "no address"),
        (Answer(text="Hi.", cc=(Address(address="a b@c.example"),)), "no address"),
        (Answer(text="Hi.", to=(KIM,) * 51), "at most 50"),
    ],
)
def test_what_can_not_be_sent_is_refused_and_writes_nothing(
    desk: Desk, answer: Answer, told: str
):
    with (
        a_ticket(desk) as (unit, ticket),
        pytest.raises(InputError, match=told),
    ):
        replies.reply(unit, HEAD, ticket, answer, AGENT)
    assert (len(stored(desk, ticket.id)), parcels(desk)) == (1, [])


def test_a_queue_writes_from_its_address_or_the_one_above(desk: Desk):
    with a_ticket(desk, queue="infra::dns") as (unit, ticket):
        replies.reply(unit, HEAD, ticket, Answer(text="Hi."), AGENT)
    assert parcels(desk)[0].mail_from == "infra@example.com"


def test_a_queue_without_address_says_what_to_do(desk: Desk):
    with (
        a_ticket(desk, queue="mute") as (unit, ticket),
        pytest.raises(InputError, match=r"queues\.mute\.address"),
    ):
        replies.reply(unit, HEAD, ticket, Answer(text="Hi."), AGENT)


def open_one(desk: Desk, **more: object) -> tuple[Ticket, str]:
    values = {"queue": "support", "title": "Your order", "text": "It is on its way."}
    opening = Opening(**values | more)  # type: ignore[arg-type]
    with desk.unit() as unit:
        ticket, _ = replies.open_ticket(unit, HEAD, opening, AGENT)
    return ticket, unit.numbers[ticket.id]


def test_a_ticket_of_our_own_writes_to_the_customer(desk: Desk):
    ticket, number = open_one(desk, customer=KIM)
    mail = sent(desk)
    assert mail.subject == f"[Ticket#{number}] Your order"
    assert mail.to == (KIM,)
    (article,) = stored(desk, ticket.id)
    assert (article.subject, article.message_id) == (mail.subject, mail.message_id)
    assert types(desk, ticket.id) == ["NewTicket", "EmailAgent"]


@pytest.mark.parametrize("more", [{}, {"customer": KIM, "is_mail": False}])
def test_a_ticket_of_our_own_without_mail_is_a_note(
    desk: Desk, more: dict[str, object]
):
    ticket, _ = open_one(desk, **more)
    assert stored(desk, ticket.id)[0].kind == "note"
    assert parcels(desk) == []


@pytest.mark.parametrize(
    "more", [{"queue": "nowhere"}, {"customer": Address(address="x y@z")}, {"text": ""}]
)
def test_a_ticket_that_can_not_be_opened_is_none(desk: Desk, more: dict[str, object]):
    with pytest.raises(InputError):
        open_one(desk, **more)
    assert parcels(desk) == []


def test_a_mail_that_is_not_there_can_not_be_dropped(desk: Desk):
    with desk.unit() as unit:
        for act in (outgoing.retry, lambda u, n: outgoing.drop(u, n, AGENT)):
            with pytest.raises(NotFoundError, match="spool list --out"):
                act(unit, 7)


def test_figures_for_the_metrics(desk: Desk):
    with a_ticket(desk) as (unit, ticket):
        replies.reply(unit, HEAD, ticket, Answer(text="Hi."), AGENT)
        outgoing.count(unit, "sent")
        found = outgoing.figures(unit.connection)
    assert (found.waiting, found.dead, found.stopped) == (1, 0, 0)
    assert found.results == {"sent": 1, "deferred": 0, "dead": 0}


def test_a_long_title_is_cut(desk: Desk):
    with a_ticket(desk) as (unit, ticket):
        mail = Outgoing(to=(KIM,), subject="x" * 900, text="Hi.\n")
        outgoing.send(unit, HEAD, ticket, mail, AGENT)
    assert len(sent(desk).subject) == 200


MADE = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_a_token_is_of_one_key_one_article_one_moment():
    tokens, later = Tokens(b"k" * 32), MADE.replace(minute=1)
    token = tokens.message_id(7, MADE, "h").split(".")[2].removesuffix("@h>")
    assert tokens.proves_article(Claim("7", token), MADE)
    assert tokens.proves_article(Claim("7", token.upper()), MADE)
    assert not tokens.proves_article(Claim("8", token), MADE)
    assert not tokens.proves_article(Claim("7", token), later)
    assert not Tokens(b"l" * 32).proves_article(Claim("7", token), MADE)


def test_the_key_is_in_no_repr():
    assert "kkkk" not in repr(Tokens(b"k" * 32))
    assert "kkkk" not in repr(HEAD)


@pytest.fixture
def render(tmp_path: object) -> Callable[..., str]:
    """Return what fills in a template for a ticket."""
    ticket = Ticket(
        id=1,
        number="2026112310000011",
        title="{{ site.name }} ${x} %s",
        queue="support",
        state="new",
        state_type=STATES["new"],
        created_at=MADE,
        changed_at=MADE,
    )

    def rendered(name: str, language: str = "en") -> str:
        values = {**HEAD.values(ticket, KIM, "joe"), **dict.fromkeys(ADMIN, "what")}
        made = HEAD.letters.render(name, language, values)
        return f"{made.subject}\n{made.text}"

    return rendered


ADMIN = ("what", "reason", "look")


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("name", HEAD.letters.names())
def test_each_shipped_template_renders(
    render: Callable[..., str], name: str, language: str
):
    text = render(name, language)
    assert "{{" not in text
    assert "kim@" not in text


def test_the_first_answer_word_for_word(render: Callable[..., str]):
    """Row O07: whatever else gets into it is seen here."""
    assert render("received") == (
        "We have your mail\n"
        "Hello,\n\n"
        "we have your mail, and answer as soon as we can. Its number is\n\n"
        "    2026112310000011\n\n"
        "Please keep the subject as it is when you write to us again: then your mail "
        "joins the\nothers.\n\nExample Support\n"
    )
