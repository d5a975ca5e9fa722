from __future__ import annotations

import stat
from datetime import timedelta

import pytest
from whoosh.index import open_dir
from whoosh.query import Term

from otrsd.clock import FakeClock
from otrsd.search.backend import (
    All,
    Beginning,
    Document,
    Either,
    IndexAwayError,
    Part,
    State,
    Wanted,
    Without,
    Words,
)
from otrsd.search.whoosh import WhooshIndex


def ids(index: WhooshIndex, wanted: Wanted) -> list[int]:
    return list(index.search(wanted, limit=None).ticket_ids)


def w(text: str, part: Part = Part.ANYWHERE) -> Words:
    return Words(text=text, part=part)


@pytest.mark.parametrize(
    ("wanted", "tickets"),
    [
        (w("drucker"), [1]),
        (w("Druckern"), [1]),
        (w("Rechnungen"), [2]),
        (Words(text="Rechnungen", exact=True), []),
        (Words(text="rechnung", exact=True), [2]),
        (w("rechnung 4711"), [2]),
        (w("4711 rechnung"), []),
        (w("kaputt der"), []),
        (w("drucker", Part.SUBJECT), [1]),
        (w("drucker", Part.BODY), []),
        (Beginning(text="papier"), [1]),
        (Beginning(text="rechnung 47"), [2]),
        (Beginning(text="kaputt 47"), []),
        (Either(parts=(w("papierstau"), w("rechnung"))), [2, 1]),
        # Two words may stand in two articles of a ticket.
        (All(parts=(w("drucker"), w("papierstau"))), [1]),
        (All(parts=(w("drucker"), Without(part=w("papierstau")))), []),
        (All(parts=(w("rechnung"), Without(part=w("papierstau")))), [2]),
        (Without(part=w("rechnung")), [1]),
        (All(), [2, 1]),
        (Either(), []),
        (w("!"), []),
    ],
)
def test_words_are_found(filled: WhooshIndex, wanted: Wanted, tickets: list[int]):
    assert ids(filled, wanted) == tickets


def test_pages_follow_one_another(filled: WhooshIndex):
    first = filled.search(All(), limit=1)
    assert (first.ticket_ids, first.more) == ((2,), True)
    second = filled.search(All(), limit=1, after=2)
    assert (second.ticket_ids, second.more) == ((1,), False)


def test_the_same_batch_twice_changes_nothing(filled: WhooshIndex, clock: FakeClock):
    filled.apply([Document(article_id=3, ticket_id=2, subject="Rechnung 4711")])
    filled.apply([Document(article_id=3, ticket_id=3, subject="Mahnung")])
    clock.advance(timedelta(seconds=2))
    assert ids(filled, w("rechnung")) == []
    assert ids(filled, w("mahnung")) == [3]
    assert filled.newest() == 3


def test_a_removed_article_is_not_found(filled: WhooshIndex):
    filled.apply([], [1])
    assert ids(filled, w("drucker")) == []
    assert ids(filled, w("papierstau")) == [1]


def test_segments_stay_few_and_hold_everything(filled: WhooshIndex):
    for n in range(4, 124):
        filled.apply([Document(article_id=n, ticket_id=n, body=f"wort{n} gemeinsam")])
    assert filled.segments() <= 30
    filled.apply([], range(10, 20))
    while filled.merge_some():
        pass
    assert len(ids(filled, w("gemeinsam"))) == 110
    assert all(ids(filled, w(f"wort{n}")) == [n] for n in range(20, 124))
    assert filled.state(thorough=True).state is State.OK


def test_words_behind_the_last_position_are_found(filled: WhooshIndex):
    text = " ".join(f"w{n}" for n in range(60_000))
    filled.apply([Document(article_id=9, ticket_id=9, body=text)])
    assert ids(filled, w("w59999")) == [9]
    assert ids(filled, w("w58000 w58001")) == [9]
    assert ids(filled, w("w100 w101")) == [9]
    assert ids(filled, w("w100 w102")) == []


def test_a_short_beginning_looks_for_the_most_frequent_words_and_says_so(
    filled: WhooshIndex,
):
    text = " ".join(f"zz{n}" for n in range(100)) + " zz7" * 3
    filled.apply([Document(article_id=9, ticket_id=9, body=text)])
    hits = filled.search(Beginning(text="zz"), limit=5)
    assert hits.ticket_ids == (9,)
    assert "more than 64 words" in hits.notes[0]


def test_whoosh_itself_reads_the_files(filled: WhooshIndex):
    live = filled.folder.live()
    with open_dir(str(live), indexname="MAIN").searcher() as searcher:
        term = Term("text", b"druck\0er")
        assert len(list(searcher.docs_for_query(term))) == 1


def test_nobody_else_may_look_into_the_folder(filled: WhooshIndex):
    live = filled.folder.live()
    assert live is not None
    for folder in (live, live.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_without_an_index_a_search_says_what_to_do(index: WhooshIndex):
    with pytest.raises(IndexAwayError, match="otrsd reindex"):
        index.search(All(), limit=1)
    assert index.state().state is State.MISSING


def test_an_index_of_another_database_is_not_used(filled: WhooshIndex):
    filled.belong_to("another")
    assert filled.state().state is State.OTHER


def test_one_rebuild_at_a_time(filled: WhooshIndex):
    with filled.folder.rebuilding() as alone:
        assert alone
        assert filled.being_rebuilt()
        # The live one still answers.
        assert filled.state().state is State.OK
        with pytest.raises(Exception, match="somebody else is rebuilding"):
            filled.rebuild(iter(()), 0, lambda _done, _total: None)
    assert not filled.being_rebuilt()


def test_a_failed_rebuild_leaves_the_live_index_and_no_rest(filled: WhooshIndex):
    def broken(_done: int, _total: int) -> None:
        raise RuntimeError("away")

    batch = [Document(article_id=1, ticket_id=1, body="neu")]
    with pytest.raises(RuntimeError):
        filled.rebuild(iter([batch]), 1, broken)
    assert ids(filled, w("drucker")) == [1]
    assert len(list(filled.folder.path.glob("build-*"))) == 1


def test_a_reader_goes_on_while_the_index_is_replaced(
    filled: WhooshIndex, clock: FakeClock
):
    reader = WhooshIndex(filled.folder.path, clock)
    assert ids(reader, w("drucker")) == [1]
    batch = [Document(article_id=1, ticket_id=7, body="Drucker")]
    filled.rebuild(iter([batch]), 1, lambda _done, _total: None)
    clock.advance(timedelta(seconds=2))
    assert ids(reader, w("drucker")) == [7]
    reader.close()
