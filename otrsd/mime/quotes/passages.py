"""Text → passages: reply, quote, signature and the rest.

In: the readable text of a mail, plain or made from HTML. Out: passages that cover it
from the first character to the last, in order; nothing fails, and the time is linear
in the length. Where the text leaves a doubt it is a reply: hiding what somebody wrote
costs more than showing a quote.
"""

from __future__ import annotations

from itertools import islice

from otrsd.mime.quotes.kinds import Kind, Passage
from otrsd.mime.quotes.lines import Page, Sort, is_forwarded, read
from otrsd.mime.quotes.marks import Finder, Mark
from otrsd.mime.quotes.tails import mark_tails

#: Passages of one text that are stored.
MARKERS = 200
#: Characters of a quoted line that was full, so that its last words went below it.
_FULL = 76
_ENDS = ".?!:"


def divide(text: str) -> tuple[Passage, ...]:
    """Return the passages of ``text``; none for an empty one."""
    if not text:
        return ()
    page = read(text)
    kinds = _Reader(page).kinds()
    mark_tails(page, kinds)
    return _passages(page, kinds, len(text))


def markers(text: str) -> list[list[int | str]]:
    """Return what of ``text`` is no reply, as it is stored: ``[start, end, kind]``."""
    marked = (p for p in divide(text) if p.kind is not Kind.REPLY)
    return [[p.start, p.end, p.kind.value] for p in islice(marked, MARKERS)]


def reply_text(text: str) -> str:
    """Return what the writer of ``text`` wrote now.

    Of a mail that was passed on without a word, that is the mail passed on; where
    there is nothing but a quote it is empty.
    """
    passages = divide(text)
    written = _joined(text, passages, Kind.REPLY)
    return written or _joined(text, passages, Kind.FORWARD)


def signature(text: str) -> str:
    """Return the signature of ``text``, or an empty text."""
    return _joined(text, divide(text), Kind.SIGNATURE)


def _joined(text: str, passages: tuple[Passage, ...], kind: Kind) -> str:
    found = (text[p.start : p.end].strip("\r\n") for p in passages if p.kind is kind)
    return "\n\n".join(each for each in found if each.strip()).strip("\r\n")


def _passages(page: Page, kinds: list[Kind], length: int) -> tuple[Passage, ...]:
    passages: list[Passage] = []
    start = at = 0
    for number, line in enumerate(page.lines):
        if kinds[number] is not kinds[number - 1] and at > start:
            kind = kinds[number - 1]
            passages.append(Passage(start=start, end=at, kind=kind))
            start = at
        at += len(line) + 1
    if length > start:
        passages.append(Passage(start=start, end=length, kind=kinds[-1]))
    return tuple(passages)


class _Reader:
    """Gives each line of one page its kind, from the top."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._kinds = [Kind.REPLY] * len(page.lines)
        self._finder = Finder(page)
        #: The first line that somebody wrote, where there is one so far.
        self._written: int | None = None
        #: A signature has begun: what follows it is not written.
        self._signed = False
        #: What lines with ``>`` are just now.
        self._quoting = Kind.QUOTE

    def kinds(self) -> list[Kind]:
        """Return the kind of each line."""
        line = 0
        while line < len(self._kinds):
            line = self._read(line)
        return self._kinds

    def _read(self, line: int) -> int:
        """Give ``line`` its kind, and perhaps others; return the next to read."""
        sort = self._page.sorts[line]
        if sort is Sort.BLANK:
            self._kinds[line] = self._kinds[line - 1] if line else Kind.REPLY
            return line + 1
        if sort is Sort.QUOTED and not self._finder.opens(line):
            return self._quote(line)
        mark = self._finder.at(line)
        if mark is not None:
            return self._cut(mark)
        if sort is Sort.QUOTED:
            return self._quote(line)
        if sort in (Sort.SENT_FROM, Sort.DASHES):
            self._signed = True
        elif self._written is None and not self._signed and sort is not Sort.RULE:
            self._written = line
        self._quoting = Kind.QUOTE
        return line + 1

    def _quote(self, line: int) -> int:
        """Mark quoted lines, and the words that a client broke off them."""
        texts, sorts, kinds = self._page.texts, self._page.sorts, self._kinds
        count, quoted = len(sorts), Sort.QUOTED
        while line < count and sorts[line] is quoted:
            text = texts[line]
            if text[-1] in ":-" and is_forwarded(text):
                self._quoting = Kind.FORWARD
            kinds[line] = self._quoting
            line += 1
            if len(text) > _FULL // 2 and line < count and self._is_broken_off(line):
                kinds[line] = self._quoting
                line += 1
        return line

    def _is_broken_off(self, line: int) -> bool:
        """Tell whether ``line`` is the end of the quoted one above it.

        The quoted line was full, its sentence was not, and the line below goes on.
        """
        page = self._page
        above, below = page.texts[line - 1], page.texts[line]
        if page.sorts[line] is not Sort.PLAIN or above[-1] in _ENDS:
            return False
        return below[0].islower() and len(above) + len(below.split()[0]) >= _FULL

    def _cut(self, mark: Mark) -> int:
        """Mark what introduces a quote, and the quote where nothing else marks it."""
        page, kinds = self._page, self._kinds
        written = self._written is not None and self._written < mark.start
        forward = mark.forwarded or (mark.whole and not written)
        self._quoting = Kind.FORWARD if forward else Kind.QUOTE
        head = Kind.FORWARD if forward else Kind.ATTRIBUTION
        kinds[mark.start : mark.end] = [head] * (mark.end - mark.start)
        if self._written is not None and self._written >= mark.start:
            self._written = None
        if page.is_quoted(mark.end) or not (written or mark.whole):
            return mark.end
        rest = len(kinds) - mark.end
        kinds[mark.end :] = [self._quoting] * rest
        return len(kinds)
