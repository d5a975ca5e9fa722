"""Mails as people write them, made from a seed: the same ones on every machine.

The vocabulary has 80,000 words that look German or English; how often each is used
follows Zipf's law. Every mail has one word that no other has, so that a search can
tell whether exactly this mail is found. One mail in five answers an earlier one.
"""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

WORDS = 80_000
#: An answer comes so many mails behind what it answers, at least.
BEHIND = 100
_ONSETS = [
    "b",
    "br",
    "d",
    "dr",
    "f",
    "fl",
    "fr",
    "g",
    "gl",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "kr",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "pr",
    "r",
    "s",
    "sch",
    "sp",
    "st",
    "str",
    "t",
    "tr",
    "v",
    "w",
    "z",
    "th",
    "wh",
    "ch",
    "sh",
    "bl",
    "cr",
    "cl",
    "qu",
]
_VOWELS = [
    "a",
    "e",
    "i",
    "o",
    "u",
    "ei",
    "ie",
    "au",
    "eu",
    "ä",
    "ö",
    "ü",
    "ea",
    "oo",
    "ou",
    "ai",
]
_CODAS = [
    "",
    "",
    *[
        "n",
        "r",
        "l",
        "s",
        "t",
        "m",
        "nd",
        "nt",
        "rt",
        "st",
        "ch",
        "ck",
        "lt",
        "mp",
        "ng",
        "rk",
        "ss",
        "ll",
        "ff",
    ],
]
_ENDINGS = [
    "en",
    "er",
    "ung",
    "heit",
    "lich",
    "keit",
    "isch",
    "ing",
    "ed",
    "tion",
    "ment",
    "ness",
    "able",
    "ly",
    "es",
    "el",
    "ig",
    "e",
]
_RECIPIENTS = (
    *["support@example.com"] * 7,
    "billing@example.com",
    "accounts@example.com",
    "hostmaster@example.com",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail to send."""

    sender: str
    recipient: str
    message_id: str
    #: The word that only this mail has.
    word: str
    content: bytes
    #: Whether it answers an earlier one.
    is_answer: bool = False


class Vocabulary:
    """Words, and how often each one is used."""

    def __init__(self, seed: int, words: int = WORDS) -> None:
        chance = random.Random(seed)
        found: dict[str, None] = {}
        while len(found) < words:
            found[_word(chance)] = None
        # What is said often is short.
        self._words = sorted(found, key=lambda word: len(word) + chance.random() * 6)
        self._weights = list(accumulate(1 / rank for rank in range(1, words + 1)))

    def some(self, chance: random.Random, count: int) -> list[str]:
        """Return words as often as people use them."""
        return chance.choices(self._words, cum_weights=self._weights, k=count)


def letters(count: int, seed: int) -> list[Letter]:
    """Return ``count`` mails; the same ones for the same seed."""
    chance = random.Random(seed)
    vocabulary = Vocabulary(seed)
    made: list[Letter] = []
    for number in range(count):
        answered = None
        if number > BEHIND and chance.random() < 0.2 * count / (count - BEHIND):
            answered = made[chance.randrange(number - BEHIND)]
        made.append(_letter(chance, vocabulary, number, answered))
    return made


def own_word(number: int) -> str:
    """Return a word that no vocabulary has and no stemmer cuts."""
    letters = ""
    rest = number
    for _ in range(4):
        rest, digit = divmod(rest, 17)
        letters += "bcdfghjklmnprstvw"[digit] + "aeiou"[(digit + rest) % 5]
    return f"{letters}qx"


def _letter(
    chance: random.Random, vocabulary: Vocabulary, number: int, answered: Letter | None
) -> Letter:
    word = own_word(number)
    message_id = f"<{number}.{chance.getrandbits(64):016x}@mail.customer.example>"
    sender = answered.sender if answered else f"person{number}@c{number}.example"
    recipient = answered.recipient if answered else chance.choice(_RECIPIENTS)
    subject = " ".join(vocabulary.some(chance, chance.randint(3, 7)))
    fields = [
        f"Received: from mail.customer.example ([192.0.2.{number % 250}])",
        f"\tby mx.example.com; Mon, 23 Nov 2026 10:{number % 60:02}:07 +0100",
        f"From: {_encoded(' '.join(vocabulary.some(chance, 2)).title())} <{sender}>",
        f"To: Support <{recipient}>",
        f"Subject: {_encoded('Re: ' * bool(answered) + subject)}",
        f"Date: Mon, 23 Nov 2026 10:{number % 60:02}:05 +0100",
        f"Message-ID: {message_id}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "User-Agent: Any Mail Program 115.3",
    ]
    if answered:
        fields += [
            f"In-Reply-To: {answered.message_id}",
            f"References: {answered.message_id}",
        ]
    head = ("\r\n".join(fields) + "\r\n\r\n").encode()
    size = chance.randint(1800, 2200)
    body = _body(chance, vocabulary, word, size - len(head))
    return Letter(
        sender=sender,
        recipient=recipient,
        message_id=message_id,
        word=word,
        content=head + body,
        is_answer=answered is not None,
    )


def _body(
    chance: random.Random, vocabulary: Vocabulary, word: str, octets: int
) -> bytes:
    """Return lines of prose of about so many octets, with ``word`` somewhere inside."""
    words = vocabulary.some(chance, max(octets // 4, 20))
    lines = []
    length = 0
    while words and length < octets:
        line = " ".join(words[:10]).capitalize() + "."
        del words[:10]
        lines.append(line)
        length += len(line.encode()) + 2
    lines.insert(chance.randrange(len(lines)), f"Kennwort {word} bitte.")
    text = "\r\n".join(lines).encode()[: octets - 2]
    if word.encode() not in text:
        text = f"Kennwort {word}.\r\n".encode() + text
    # A cut may have parted an octet sequence of one character.
    return text.decode("utf-8", "ignore").encode() + b"\r\n"


def _word(chance: random.Random) -> str:
    syllables = chance.choice((1, 1, 2, 2, 2, 3))
    word = "".join(
        chance.choice(_ONSETS) + chance.choice(_VOWELS) + chance.choice(_CODAS)
        for _ in range(syllables)
    )
    return word + (chance.choice(_ENDINGS) if chance.random() < 0.6 else "")


def _encoded(text: str) -> str:
    if text.isascii():
        return text
    return f"=?utf-8?b?{b64encode(text.encode()).decode()}?="


def save(path: Path, mails: Iterable[Letter]) -> None:
    """Write mails for the client process."""
    with path.open("w", encoding="utf-8") as file:
        for mail in mails:
            content = mail.content.decode("latin-1")
            file.write(json.dumps([mail.sender, mail.recipient, content]) + "\n")


def read(path: Path) -> Iterator[Sequence[str]]:
    """Yield (sender, recipient, content in latin-1)."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
