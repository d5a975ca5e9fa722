"""What ends a reply: signatures, list footers, legal notices.

In: a page and the kinds of its lines as the quotes left them. Out: the same kinds,
with what ends each stretch of reply marked. A signature reaches to the next quote or
the end; nothing is a signature before something has been written.
"""

from __future__ import annotations

import re

from otrsd.mime.quotes import endings
from otrsd.mime.quotes.kinds import Kind
from otrsd.mime.quotes.lines import Page, Sort

#: Lines below dashes that have lost their space; more is no signature.
_SIGNATURE_LINES = 15
#: Lines and characters of a legal notice or a list footer.
_FOOTER_LINES, _FOOTER_CHARACTERS = 40, 5000
#: Lines below a rule in which a mailing list says that it is one.
_LIST_LINES = 3
#: Characters of a rule that parts a legal notice from the text.
_LONG_RULE = 5
#: Lines of a card: a name, a telephone number, an address.
_CARD_LINES = 6
_CARD_SORTS = 2
_NAME_CHARACTERS = 60

_DISCLAIMER = tuple(p for phrases in endings.DISCLAIMER.values() for p in phrases)
_CONTACTS = (
    re.compile(r"[^\s@]{1,64}@[^\s@]{1,100}\.[a-z]{2,}", re.IGNORECASE),
    re.compile(r"(?:https?://|www\.)[^\s]{3,100}", re.IGNORECASE),
    re.compile(
        r"(?:[a-z]{1,10}[.:]{0,2}\s?)?[+(]?[\d][\d\s()/.-]{5,24}", re.IGNORECASE
    ),
)
_NAME = re.compile(r"[^\W\d_a-z][\w'’.-]+(?: [^\W\d_a-z][\w'’.-]*){1,2}")


def mark_tails(page: Page, kinds: list[Kind]) -> None:
    """Mark what ends each stretch of reply."""
    written = False
    for start, end in _stretches(kinds):
        end_of_reply = _signature(page, kinds, start, end, written=written)
        end_of_reply = _footers(page, kinds, start, end_of_reply)
        if end_of_reply == end:
            _card(page, kinds, start, end_of_reply, written=written)
        written = written or page.next(start) < end_of_reply


def _stretches(kinds: list[Kind]) -> list[tuple[int, int]]:
    """Return where lines of reply follow each other."""
    found: list[tuple[int, int]] = []
    start = -1
    for at, kind in enumerate(kinds):
        if kind is Kind.REPLY and start < 0:
            start = at
        elif kind is not Kind.REPLY and start >= 0:
            found.append((start, at))
            start = -1
    return [*found, (start, len(kinds))] if start >= 0 else found


def _mark(kinds: list[Kind], start: int, end: int, kind: Kind) -> None:
    kinds[start:end] = [kind] * (end - start)


def _signature(
    page: Page, kinds: list[Kind], start: int, end: int, *, written: bool
) -> int:
    """Mark the signature of a stretch; return where the reply ends."""
    for at in range(start, end):
        sort = page.sorts[at]
        if sort is Sort.DASHES and _is_delimiter(page, at, end):
            stop = end if written else _paragraph_end(page, at, end)
        elif sort is Sort.SENT_FROM:
            stop = end if written else at + 1
        else:
            written = written or sort not in (Sort.BLANK, Sort.RULE, Sort.DASHES)
            continue
        top = _name_above(page, at, start)
        _mark(kinds, top, stop, Kind.SIGNATURE)
        if stop == end:
            return top
    return end


def _is_delimiter(page: Page, at: int, end: int) -> bool:
    if page.lines[at].rstrip("\r") == "-- ":
        return True
    sorts = page.sorts[at + 1 : min(end, at + 3 * _SIGNATURE_LINES)]
    below = sum(sort is not Sort.BLANK for sort in sorts)
    return 0 < below <= _SIGNATURE_LINES


def _paragraph_end(page: Page, at: int, end: int) -> int:
    while at < end and page.sorts[at] is not Sort.BLANK:
        at += 1
    return at


def _name_above(page: Page, at: int, start: int) -> int:
    """Return where a signature starts: a name above "via mobile" belongs to it."""
    if (
        page.sorts[at] is Sort.SENT_FROM
        and at - _CARD_SORTS >= start
        and page.sorts[at - 2] is Sort.BLANK
        and _NAME.fullmatch(page.texts[at - 1][: _LIST_LINES * 20])
    ):
        return at - 1
    return at


def _footers(page: Page, kinds: list[Kind], start: int, end: int) -> int:
    """Mark legal notices and list footers; return where the reply ends."""
    last = end
    for top, bottom in _sections(page, start, end):
        # A section above: nothing below it but footers.
        is_last = page.next(bottom) >= last
        is_enclosed = top > start and bottom < end and page.sorts[bottom] is Sort.RULE
        if not (is_last or is_enclosed):
            continue
        notice = _notice_start(page, top, bottom, start)
        if notice is not None:
            _mark(kinds, notice, max(bottom, last if is_last else bottom), Kind.FOOTER)
            if is_enclosed and not is_last:
                _mark(kinds, bottom, bottom + 1, Kind.FOOTER)
            last = notice if is_last else last
    return _rules(page, kinds, start, last)


def _sections(page: Page, start: int, end: int) -> list[tuple[int, int]]:
    """Return what stands between rules, the last first; a rule starts its section."""
    tops = [start]
    tops += [at for at in range(start + 1, end) if page.sorts[at] is Sort.RULE]
    return list(zip(tops, [*tops[1:], end], strict=True))[::-1][:_FOOTER_LINES]


def _notice_start(page: Page, top: int, bottom: int, start: int) -> int | None:
    """Return where a section's legal notice starts, ``None`` if it has none."""
    ruled = page.sorts[top] is Sort.RULE
    first = page.next(top + 1) if ruled else page.next(top)
    if first >= bottom:
        return None
    if ruled and bottom - first <= _FOOTER_LINES:
        text = _folded(page, first, bottom)
        head = _folded(page, first, min(first + _LIST_LINES, bottom))
        if any(each in head for each in endings.LIST_FOOTER) or _is_notice(
            text, long_rule=len(page.texts[top]) >= _LONG_RULE
        ):
            return top
    return _last_paragraphs(page, first, bottom, top if ruled else start)


def _last_paragraphs(page: Page, first: int, bottom: int, start: int) -> int | None:
    """Return where the legal paragraphs at the end of a section start."""
    found = None
    at = bottom
    while at > first:
        stop = at
        while stop > first and page.sorts[stop - 1] is Sort.BLANK:
            stop -= 1
        top = stop
        while top > first and page.sorts[top - 1] is not Sort.BLANK:
            top -= 1
        # What starts the text is the text, however legal.
        if top <= page.next(start) or stop - top > _FOOTER_LINES:
            break
        if not _is_notice(_folded(page, top, stop), long_rule=False):
            break
        found = at = top
    return found


def _folded(page: Page, start: int, end: int) -> str:
    return " ".join(page.texts[start:end])[:_FOOTER_CHARACTERS].casefold()


def _is_notice(text: str, *, long_rule: bool) -> bool:
    if any(phrase in text for phrase in _DISCLAIMER):
        return True
    return long_rule and any(word in text for word in endings.DISCLAIMER_WORDS)


def _rules(page: Page, kinds: list[Kind], start: int, end: int) -> int:
    """Mark rules below which nothing stands."""
    at = end
    while at > start and page.sorts[at - 1] in (Sort.RULE, Sort.DASHES, Sort.BLANK):
        at -= 1
    while at < end and page.sorts[at] is Sort.BLANK:
        at += 1
    _mark(kinds, at, end, Kind.FOOTER)
    return at


def _card(
    page: Page, kinds: list[Kind], start: int, end: int, *, written: bool
) -> None:
    """Mark a last paragraph that is a name with ways to reach it."""
    stop = end
    while stop > start and page.sorts[stop - 1] is Sort.BLANK:
        stop -= 1
    top = stop
    while top > start and page.sorts[top - 1] is not Sort.BLANK:
        top -= 1
    lines = page.texts[top:stop]
    if not _CARD_SORTS < len(lines) <= _CARD_LINES or not (
        written or page.next(start) < top
    ):
        return
    ways = [each for line in lines for each in _CONTACTS if each.fullmatch(line)]
    if len(set(ways)) >= _CARD_SORTS and 2 * len(ways) >= len(lines):
        _mark(kinds, top, end, Kind.SIGNATURE)
