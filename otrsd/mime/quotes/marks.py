"""Where a quoted mail begins: attributions, header blocks, "Original Message".

In: a :class:`~otrsd.mime.quotes.lines.Page` and a line. Out: a :class:`Mark`, or
``None``. An attribution ("On …, … wrote:") stands on one to four lines; what it is
made of (a date, an address, a verb, a colon) is asked rather than its wording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from otrsd.mime.quotes import words
from otrsd.mime.quotes.lines import LONGEST, Page, Sort, label_of

_MARKS = frozenset((Sort.ORIGINAL, Sort.FORWARDED, Sort.ABOVE, Sort.LABEL))
_RULED = frozenset((Sort.RULE, Sort.ORIGINAL, Sort.FORWARDED, Sort.BLANK))
#: Lines of one attribution, and of one header block.
_WRAPPED, _BLOCK = 4, 16
#: Attributions that are looked for in one text: what ends in a colon costs.
ATTEMPTS = 300
#: Words that may follow the verb, or precede it where the date comes last.
_NAME = 6
_NUMBERS = 2
#: Names beside From in a header block that cannot be anything else.
_FEW = 2

_ADDRESS = re.compile(r"[^\s<>()\[\]\"]{1,100}@[^\s<>()\[\]\"]{1,100}")
_IN_BRACKETS = re.compile(r"[<(\[](?:mailto:)?[^\s<>@]{1,100}@[^\s<>]{1,100}")
#: At most four words, and then a number: how an attribution with a date starts.
_DATED = re.compile(r"(?:[^\s\d]{1,20}\s+){0,4}[^\s\d]{0,3}\d")
_NUMBER = re.compile(r"\d+")
#: The last number of the date, at most six words, an address, a colon.
_NAMED = re.compile(
    r"\d[^\s\d]{0,20}(?:\s+[^\s\d]{1,40}){0,6}"
    r"\s+[^\s@]{1,100}@[^\s<>@]{1,100}[>)\]]{0,3}\s?:$"
)
_TIMED = re.compile(r"\d{1,2}[:.]\d\d|\b(?:19|20)\d\d\b")
#: How GroupWise introduces a mail: ``>>> NAME <ADDRESS> DATE >>>``.
_ARROWED = re.compile(r">>>\s?[^\s>].{1,200}?\d.{0,40}?\s>>>")
#: A quote sign that was torn off the address in front of it.
_TORN = re.compile(r">{1,2}\s?[^\s>]{0,12}\s?:")


def _verbs() -> re.Pattern[str]:
    every = {verb for verbs in words.WROTE.values() for verb in verbs}
    ordered = "|".join(re.escape(v) for v in sorted(every, key=len, reverse=True))
    # Only scripts that part words by spaces need the ends of a word.
    return re.compile(rf"(?<![a-zа-яё])(?:{ordered})(?![a-zа-яё])")


_VERB = _verbs()
_LAST = tuple({v[-1] for verbs in words.WROTE.values() for v in verbs})
_CITING = tuple(phrase for phrases in words.CITING.values() for phrase in phrases)


@dataclass(frozen=True, slots=True)
class Mark:
    """Lines that say that somebody else's mail follows."""

    start: int
    #: The first line after it.
    end: int
    #: It shows a whole mail with its header, as a forwarded one does.
    whole: bool = False
    #: It says that the mail is forwarded.
    forwarded: bool = False


class Finder:
    """Finds the marks of one text."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._attempts = 0

    def at(self, line: int) -> Mark | None:
        """Return the mark that starts, or whose attribution ends, with ``line``."""
        found = self._single(line) if self._may_be(line) else None
        if found is None:
            return None
        start, end, whole, forwarded = found
        # "-----Original Message-----" and a header block, or an attribution.
        while (more := self._following(end)) is not None:
            end, whole, forwarded = more[1], whole or more[2], forwarded or more[3]
        return Mark(self._ruled(start), end, whole, forwarded)

    def _may_be(self, line: int) -> bool:
        """Tell whether it is worth to look closer at ``line``: mostly it is not."""
        page = self._page
        if page.sorts[line] in _MARKS or _may_end(page.texts[line]):
            return True
        if self.is_arrowed(line):
            return True
        return line > 0 and page.sorts[line - 1] in _RULED

    def _single(self, line: int) -> tuple[int, int, bool, bool] | None:
        sort = self._page.sorts[line]
        if sort in (Sort.ORIGINAL, Sort.FORWARDED):
            return line, line + 1, True, sort is Sort.FORWARDED
        if sort is Sort.ABOVE or self.is_arrowed(line):
            return line, line + 1, False, False
        if (end := self._block(line)) is not None:
            return line, end, True, False
        start = self._attribution(line)
        return None if start is None else (start, line + 1, False, False)

    def _following(self, at: int) -> tuple[int, int, bool, bool] | None:
        """Return the mark that follows one at once."""
        line = self._page.next(at)
        if line >= len(self._page.sorts) or self._page.sorts[line] is Sort.QUOTED:
            return None
        for last in range(line, min(line + _WRAPPED, len(self._page.sorts))):
            found = self._single(last)
            if found is not None:
                return found if found[0] <= line else None
            if self._page.sorts[last] is Sort.BLANK:
                break
        return None

    def _ruled(self, start: int) -> int:
        """Return where the rule above a mark starts."""
        sorts = self._page.sorts
        above = start - 1
        while above >= 0 and sorts[above] is Sort.BLANK and start - above <= _NUMBERS:
            above -= 1
        return above if above >= 0 and sorts[above] is Sort.RULE else start

    def _block(self, line: int) -> int | None:
        """Return the end of a header block: From, Sent, To, Subject in any order."""
        page = self._page
        ruled = self._ruled(line) < line or self._is_after_original(line)
        if page.sorts[line] is not Sort.LABEL:
            return self._foreign_block(line) if ruled else None
        named: set[str] = set()
        end = line
        for at in range(line, min(line + _BLOCK, len(page.sorts))):
            if page.sorts[at] is Sort.LABEL:
                named.add(label_of(page.texts[at]))
                end = at + 1
            elif page.sorts[at] is Sort.BLANK:
                following = page.next(at)
                if page.sorts[following : following + 1] != [Sort.LABEL]:
                    break
            elif page.sorts[at] is Sort.QUOTED:
                break
        # Web forms have lines like these, so all four are wanted of a bare block,
        # except where it speaks as Outlook does.
        few = ruled or "sent" in named
        named = {"date" if each == "sent" else each for each in named}
        enough = len(named & {"date", "to", "subject"}) >= (_FEW if few else _FEW + 1)
        return end if "from" in named and enough else None

    def _is_after_original(self, line: int) -> bool:
        sorts = self._page.sorts
        above = line - 1
        while above > 0 and sorts[above] is Sort.BLANK:
            above -= 1
        return above >= 0 and sorts[above] in (Sort.ORIGINAL, Sort.FORWARDED)

    def _foreign_block(self, line: int) -> int | None:
        """Return the end of a header block in a language of which we know nothing."""
        end, address, date = line, False, False
        for text in self._page.texts[line : line + _WRAPPED + 2]:
            head, colon, value = text[:LONGEST].partition(":")
            if not colon or not value or len(head.split()) > _NUMBERS:
                break
            address = address or _ADDRESS.search(value) is not None
            date = date or _TIMED.search(value) is not None
            end += 1
        return end if address and date and end - line > _NUMBERS else None

    def _attribution(self, last: int) -> int | None:
        """Return the first line of the attribution that ends with ``last``."""
        page = self._page
        text = page.texts[last]
        if len(text) > LONGEST or not _may_end(text) or self._attempts >= ATTEMPTS:
            return None
        self._attempts += 1
        windows = self._windows(last)
        quoted = page.is_quoted(last + 1)
        for asked in _ASKED:
            for start, joined in windows:
                if asked(joined, quoted=quoted):
                    return start
        return None

    def _windows(self, last: int) -> list[tuple[int, str]]:
        """Return the one to four lines that end with ``last``, by their start."""
        page = self._page
        windows: list[tuple[int, str]] = []
        joined = ""
        for start in range(last, max(last - _WRAPPED, -1), -1):
            sort = page.sorts[start]
            if sort in (Sort.BLANK, Sort.RULE) or (sort is Sort.QUOTED and joined):
                break
            joined = f"{page.texts[start]} {joined}"
            if len(joined) > LONGEST:
                break
            windows.append((start, " ".join(joined.split()).strip("-_* ").casefold()))
        return windows

    def opens(self, line: int) -> bool:
        """Tell whether a line with a quote sign may end what introduces a quote."""
        return self.is_arrowed(line) or self.is_torn(line)

    def is_arrowed(self, line: int) -> bool:
        """Tell whether a line introduces a mail as GroupWise does: ``>>> … >>>``."""
        page = self._page
        text = page.texts[line]
        if not text.startswith(">>>") or not text.endswith(">>>"):
            return False
        if line and page.sorts[line - 1] is Sort.QUOTED:
            return False
        return len(text) <= LONGEST and _ARROWED.fullmatch(text) is not None

    def is_torn(self, line: int) -> bool:
        """Tell whether a quoted line is the end of an attribution: ``>:``."""
        page = self._page
        if not line or page.sorts[line - 1] is Sort.QUOTED:
            return False
        if _TORN.fullmatch(page.texts[line]) is None:
            return False
        above = page.texts[line - 1]
        return above.rfind("<") > above.rfind(">")


def _may_end(text: str) -> bool:
    last = text[-1:]
    if last == ":":
        return True
    # Few clients leave the colon out, and Zoho puts dashes behind the verb.
    return last in ("-", "e") and text.rstrip("- ").endswith("wrote")


def _is_dated(text: str, *, quoted: bool) -> bool:
    """Tell whether ``text`` is "On DATE, NAME <ADDRESS> wrote:"."""
    if _DATED.match(text) is None:
        return False
    numbers = len(_NUMBER.findall(text))
    if numbers < _NUMBERS:
        return False
    verb = _last_verb(text)
    if verb is None:
        # Without a verb, a full date, a name and an address say as much.
        return numbers > _NUMBERS and _NAMED.search(text) is not None
    tail = text[verb.end() :]
    if _ADDRESS.search(tail) is None and len(tail.split()) > _NAME:
        return False
    address = _ADDRESS.search(text) is not None
    if text[-1] != ":":
        return address and not tail
    return quoted or address or _TIMED.search(text) is not None


def _is_named(text: str, *, quoted: bool) -> bool:
    """Tell whether ``text`` is "NAME <ADDRESS> wrote on DATE:"."""
    if text[-1] != ":" or text[0] == "<":
        return False
    address = _IN_BRACKETS.search(text)
    if text.startswith(_CITING):
        return quoted or address is not None
    verb = _VERB.search(text)
    if verb is None:
        return False
    if len(text[: address.start() if address else verb.start()].split()) > _NAME:
        return False
    dated = len(_NUMBER.findall(text, verb.end())) >= _NUMBERS
    if quoted:
        return dated or address is not None or verb.end() >= len(text) - _NUMBERS
    return dated and address is not None


def _is_likely(text: str, *, quoted: bool) -> bool:
    """Tell whether a line above a quote introduces it, in whatever language."""
    if not quoted or text[-1] != ":" or text.count(">") > text.count("<"):
        return False
    if _DATED.match(text) and len(_NUMBER.findall(text)) > _NUMBERS:
        return True
    return _IN_BRACKETS.search(text) is not None


def _last_verb(text: str) -> re.Match[str] | None:
    found = None
    for found in _VERB.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    return found


#: Asked one after the other, each of one to four lines: the surest comes first.
_ASKED = (_is_dated, _is_named, _is_likely)
