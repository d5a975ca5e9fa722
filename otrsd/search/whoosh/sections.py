"""Where the parts of an article stand among its 65,536 positions.

Each part has a range of its own, with a gap behind it so that no phrase runs from
one into the next. Words behind a part's last position all stand at that position:
there a phrase can't be told from its words in another order, and is found.
"""

from __future__ import annotations

from dataclasses import dataclass

from otrsd.search.backend import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of an article."""

    part: Part
    #: The member of :class:`~otrsd.search.backend.Document`.
    attribute: str
    first: int
    last: int


SECTIONS = (
    Section(part=Part.SUBJECT, attribute="subject", first=0, last=998),
    Section(part=Part.SENDER, attribute="sender", first=1_000, last=1_998),
    Section(part=Part.RECIPIENTS, attribute="recipients", first=2_000, last=4_998),
    Section(part=Part.ANYWHERE, attribute="extra", first=7_000, last=7_998),
    Section(part=Part.BODY, attribute="body", first=8_000, last=44_998),
    Section(part=Part.ATTACHMENTS, attribute="attachments", first=45_000, last=65_535),
)

#: The positions at which order is not known.
LAST_PLACES = frozenset(section.last for section in SECTIONS)

#: Part → its range.
RANGES = {
    section.part: (section.first, section.last)
    for section in SECTIONS
    if section.part is not Part.ANYWHERE
}
