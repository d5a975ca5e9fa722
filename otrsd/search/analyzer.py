"""Text → words → index terms; the same for every back end and for queries.

In: any text. Out: words (runs of letters and digits, lower case, accents and
umlauts folded) and, per word, a term ``group NUL rest`` whose two halves joined
are the word. The group is the word's stem, by the German and the English stemmer,
and always a prefix of the word: so one sorted list of terms answers a search by
stem (all terms of a group), an exact one (one term) and one by prefix (one run of
terms, and one run in each shorter group), and each word is stored once.

Nothing here fails. Müller, Mueller and muller are one word: ä/ae→a, ö/oe→o,
ü/ue→u (not behind a vowel or q: neue, queue), ß→ss. Known weakness: compound words
are not split; a search for a part of one that is not its beginning finds nothing.
"""

from __future__ import annotations

import re
import unicodedata

import Stemmer

#: Changes whenever terms or their places do: an index of another version is rebuilt.
VERSION = 2

#: A word is indexed by so many of its first characters.
LONGEST_WORD = 64

#: Characters that NFKD leaves alone but people type as others.
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "a", "œ": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"}
)
_MARKS = re.compile("[\u0300-\u036f]+")
_ASCII_WORDS = re.compile("[a-z0-9]+")
#: Chinese and Japanese put no spaces between words: each character is one.
_WORDS = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    "|[^\\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)
_DIGRAPHS = re.compile("ae|oe|(?<![aeiouyq])ue")
_PLURAL_OF_UE = re.compile("(?<=[b-df-hj-np-tv-z]u)[sd]$")
_HAS_DIGIT = re.compile("[0-9]")

#: Stemming "order" gives "ord", "ordered" gives "order": repeat until nothing moves.
_ROUNDS = 4
#: Shorter words have no endings.
_SHORTEST = 3
_CACHED = 40_000


class Analyzer:
    """Cuts text into words and words into terms; keeps a bounded cache."""

    def __init__(self) -> None:
        self._german = Stemmer.Stemmer("german", 0)
        self._english = Stemmer.Stemmer("english", 0)
        self._terms: dict[str, bytes] = {}

    def words(self, text: str) -> list[str]:
        """Return the words of ``text``, in order."""
        text = text.lower()
        if text.isascii():
            return _ASCII_WORDS.findall(text)
        text = unicodedata.normalize("NFKD", text)
        return _WORDS.findall(_MARKS.sub("", text).lower().translate(_LETTERS))

    def term(self, word: str) -> bytes:
        """Return the term of a word that :meth:`words` gave."""
        term = self._terms.get(word)
        if term is None:
            if len(self._terms) >= _CACHED:
                self._terms.clear()
            term = self._terms[word] = self._make(word)
        return term

    def group(self, word: str) -> bytes:
        """Return the beginning that all terms with this word's stem share."""
        return self.term(word).partition(b"\0")[0] + b"\0"

    def prefixes(self, beginning: str) -> list[bytes]:
        """Return the beginnings of all terms whose word begins so."""
        folded = fold(beginning)[:LONGEST_WORD]
        shorter = [
            f"{folded[:cut]}\0{folded[cut:]}".encode() for cut in range(1, len(folded))
        ]
        return [folded.encode(), *shorter]

    def _make(self, word: str) -> bytes:
        word = fold(word)[:LONGEST_WORD]
        group = self._stem(word)
        return f"{group}\0{word[len(group) :]}".encode()

    def _stem(self, word: str) -> str:
        """Return what inflections of ``word`` have in common, a prefix of it."""
        if len(word) < _SHORTEST or _HAS_DIGIT.search(word):
            return word
        stem = word
        for _ in range(_ROUNDS):
            last = stem
            # Folding turned "issues" into "issus", "issued" into "issud".
            stem = _PLURAL_OF_UE.sub("", stem)
            stem = self._german.stemWord(self._english.stemWord(stem))
            if stem == last:
                break
        # English writes company, companies; hope, hoping.
        stem = stem[:2] + stem[2:].rstrip("eiy")
        return stem if word.startswith(stem) else word


def fold(word: str) -> str:
    """Return a word of :meth:`Analyzer.words` without its umlauts' digraphs."""
    return _DIGRAPHS.sub(_first, word)


def _first(match: re.Match[str]) -> str:
    return match.group()[0]
