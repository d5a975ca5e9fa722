"""Which tickets are wanted: a search's words in every segment, joined by ticket."""

from __future__ import annotations

from collections.abc import Sequence

from otrsd.clock import Clock
from otrsd.errors import InputError
from otrsd.search.analyzer import Analyzer
from otrsd.search.backend import All, Beginning, Either, Wanted, Without, Words
from otrsd.search.whoosh.reader import Asking, OpenSegment

#: A search may take so many seconds.
_PATIENCE = 5.0


class Search:
    """One search; ``notes`` holds, once, what the person should know."""

    def __init__(
        self,
        segments: Sequence[tuple[OpenSegment, frozenset[int]]],
        analyzer: Analyzer,
        clock: Clock,
    ) -> None:
        self.notes: dict[str, None] = {}
        self._segments = segments
        self._analyzer = analyzer
        self._clock = clock
        self._until = clock.monotonic() + _PATIENCE

    def tickets(self, wanted: Wanted) -> set[int]:
        """Return the ids of the tickets that match."""
        match wanted:
            case Words() | Beginning():
                return self._having(wanted)
            case Without():
                return self._everything() - self.tickets(wanted.part)
            case Either():
                found: set[int] = set()
                return found.union(*map(self.tickets, wanted.parts))
            case All():
                return self._all(wanted.parts)

    def _all(self, parts: Sequence[Wanted]) -> set[int]:
        """Begin with what is wanted; then take away what is not."""
        found: set[int] | None = None
        for part in parts:
            if not isinstance(part, Without):
                more = self.tickets(part)
                found = more if found is None else found & more
                if not found:
                    return found
        left = self._everything() if found is None else set(found)
        for part in parts:
            if isinstance(part, Without):
                left -= self.tickets(part.part)
        return left

    def _having(self, wanted: Words | Beginning) -> set[int]:
        found: set[int] = set()
        for segment, deleted in self._segments:
            if self._clock.monotonic() > self._until:
                raise InputError(
                    f"the search took longer than {_PATIENCE:.0f} s:"
                    " add a word or a field to narrow it"
                )
            asking = Asking(segment, self._analyzer, self._note)
            numbers = asking.documents(wanted) - deleted
            column = segment.tickets
            found.update([column[number] for number in numbers])
        return found

    def _everything(self) -> set[int]:
        found: set[int] = set()
        for segment, deleted in self._segments:
            kept = set(range(len(segment.tickets))) - deleted
            found.update([segment.tickets[number] for number in kept])
        return found

    def _note(self, text: str) -> None:
        self.notes[text] = None
