"""The reckoning itself: it must see what is wrong, and only that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ledger import ACK, BOUNCE, INTENT, Reader, Writer
from bench.mails import letters, own_word
from bench.reckoning import reckon
from bench.site import composed, make_site
from otrsd.app import App
from otrsd.store import content, schema
from otrsd.store.tables import article

SHA = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path / "ledger")
    yield writer
    writer.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with composed(make_site(tmp_path / "site")) as made:
        made.state.mkdir()
        schema.upgrade(made.database)
        yield made


def store(app: App, spool_id: str, octets: bytes = b"hello") -> None:
    """Put an article of the mail <a@b> straight into the tables."""
    sha256 = hashlib.sha256(octets).hexdigest()
    empty = dict.fromkeys(("from_text", "to_text", "cc_text", "subject", "text"), "")
    values = {
        **empty,
        "ticket_id": 1,
        "kind": "mail_in",
        "sender_type": "customer",
        "visible_to_customer": 1,
        "message_id": "<a@b>",
        "content_sha256": sha256,
        "spool_id": spool_id,
        "mail": "{}",
        "created_at": app.clock.now(),
    }
    with app.database.write() as connection:
        content.put(connection, {sha256: octets})
        connection.execute(article.insert(), values)


def sent(book: Writer, tmp_path: Path) -> Reader:
    book.write(INTENT, ("<a@b>", SHA), "smtp")
    book.write(ACK, ("<a@b>", SHA), "smtp", "250 2.0.0 id")
    return Reader(tmp_path / "ledger").read()


def test_an_acknowledged_mail_that_is_nowhere_is_lost(
    app: App, book: Writer, tmp_path: Path
):
    found = reckon(app, sent(book, tmp_path))
    assert (found.acknowledged, len(found.lost), found.is_clean) == (1, 1, False)


def test_an_acknowledged_mail_that_is_an_article_is_in_order(
    app: App, book: Writer, tmp_path: Path
):
    store(app, "one")
    found = reckon(app, sent(book, tmp_path))
    assert (found.lost, found.doubled, found.wrong) == ((), (), ())


def test_other_octets_under_the_same_message_id_do_not_count(
    app: App, book: Writer, tmp_path: Path
):
    store(app, "one", b"hell0")
    found = reckon(app, sent(book, tmp_path))
    assert len(found.lost) == 1
    assert "nobody sent" in found.wrong[0]


def test_octets_that_are_not_intact_are_lost(app: App, book: Writer, tmp_path: Path):
    store(app, "one")
    with app.database.write() as connection:
        connection.exec_driver_sql("UPDATE content SET encoding = 'none', data = x'00'")
    assert len(reckon(app, sent(book, tmp_path)).lost) == 1


def test_two_articles_of_one_mail_are_doubled(app: App, book: Writer, tmp_path: Path):
    store(app, "one")
    store(app, "two")
    assert len(reckon(app, sent(book, tmp_path)).doubled) == 1


def test_a_refusal_for_good_is_wrong(app: App, book: Writer, tmp_path: Path):
    book.write(INTENT, ("<a@b>", SHA), "smtp")
    book.write(BOUNCE, ("<a@b>", SHA), "smtp", "550 no")
    found = reckon(app, Reader(tmp_path / "ledger").read())
    assert found.wrong == ("refused for good: smtp <a@b>: 550 no",)


def test_half_a_line_of_the_ledger_waits_for_its_end(tmp_path: Path):
    path = tmp_path / "ledger"
    path.write_text("intent\t1.0\t<a@b>\tff\tsmtp\t\nack\t2.0\t<a@b")
    reader = Reader(path).read()
    assert (len(reader.intents), len(reader.acks)) == (1, 0)
    with path.open("a") as file:
        file.write(">\tff\tsmtp\t250\n")
    assert reader.read().acks == {("<a@b>", "ff"): 2.0}


def test_the_mails_of_a_measurement_are_what_they_should_be():
    made = letters(600, seed=1)
    assert all(1800 <= len(mail.content) <= 2200 for mail in made)
    assert 0.15 < sum(mail.is_answer for mail in made) / len(made) < 0.25
    assert all(mail.word.encode() in mail.content for mail in made)
    assert [mail.content for mail in letters(600, seed=1)] == [m.content for m in made]
    assert len({own_word(n) for n in range(20_000)}) == 20_000
