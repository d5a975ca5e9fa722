from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from otrsd.search.analyzer import LONGEST_WORD, Analyzer, fold

ANALYZER = Analyzer()


def groups(text: str) -> set[bytes]:
    return {ANALYZER.group(word) for word in ANALYZER.words(text)}


def exact(text: str) -> list[str]:
    return [ANALYZER.term(w).replace(b"\0", b"").decode() for w in ANALYZER.words(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Müller Mueller muller MÜLLER Mu\u0308ller",
        "Störung Störungen Stoerung stoerungen",
        "Straße Strasse Straßen",
        "Rechnung Rechnungen",
        "Häuser Haus Haeuser",
        "neu neue neuer neuen neues",
        "Steuer Steuern",
        "Passwort Passwörter Passwörtern",
        "printer printers printing printed",
        "order orders ordered ordering",
        "issue issues issued",
        "company companies",
        "invoice invoices invoiced",
        "queue queues",
        "hope hoping hoped",
        "value values",
    ],
)
def test_inflections_and_spellings_of_a_word_are_one_group(text: str):
    assert len(groups(text)) == 1


@pytest.mark.parametrize("pair", ["queue quelle", "neu nun", "mail male", "host hose"])
def test_other_words_stay_apart(pair: str):
    assert len(groups(pair)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bob.smith@example.org", ["bob", "smith", "example", "org"]),
        ("INV-2026/0042", ["inv", "2026", "0042"]),
        ("2026112310000011", ["2026112310000011"]),
        ("disk_full on db1.example", ["disk", "full", "on", "db1", "example"]),
        ("ﬁle Größe ÆON", ["file", "grosse", "aon"]),
        ("打印机", ["打", "印", "机"]),
        ("", []),
        ("!?", []),
    ],
)
def test_text_is_cut_into_words(text: str, words: list[str]):
    assert exact(text) == words


@given(st.text())
def test_any_text_becomes_terms_whose_group_begins_the_word(text: str):
    for word in ANALYZER.words(text):
        group, _, rest = ANALYZER.term(word).decode().partition("\0")
        assert group + rest == fold(word)[:LONGEST_WORD]


@given(st.text(alphabet="bdklmnrstäöüß", min_size=1, max_size=12))
def test_umlauts_may_be_written_in_three_ways(word: str):
    two, one = word, word
    for umlaut, pair in {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}.items():
        two = two.replace(umlaut, pair)
        one = one.replace(umlaut, "ss" if umlaut == "ß" else pair[0])
    if "ü" not in word[1:] or not any(v + "ü" in word for v in "äöü"):
        assert exact(two) == exact(word)
    assert exact(one) == exact(word)


@given(st.text(), st.integers(1, 20))
def test_every_beginning_of_a_word_finds_it(text: str, length: int):
    for word in ANALYZER.words(text):
        start = fold(word)[:length]
        starts = ANALYZER.prefixes(start)
        assert any(ANALYZER.term(word).startswith(s) for s in starts)
