"""What an index of words is, whichever library keeps it.

The desk owes the index the words of each article (``index_todo``); the index lane
pays by :meth:`Index.apply`. An index is a cache of SQL: it may be lost, and says
itself whether it can be trusted (:meth:`Index.state`). It knows words only. What
can change on a ticket (queue, state, owner …) is asked in SQL: an index would lie
about it between a change and the next commit.

A search is one of the values below and finds tickets: a ticket has a word where one
of its articles has it; so two words may stand in two articles, and ``Without`` holds
where no article has it. It fails with :class:`IndexAwayError` where there is no index
to be asked for now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from otrsd.errors import TemporaryError


class IndexAwayError(TemporaryError):
    """The index is missing, damaged or just being rebuilt."""


class IndexFullError(TemporaryError):
    """The machine, not the index, is at fault: no room, no rights, no memory."""


class Part(StrEnum):
    """Where in an article a word may be looked for."""

    ANYWHERE = ""
    SUBJECT = "subject"
    SENDER = "from"
    RECIPIENTS = "to"
    ATTACHMENTS = "attachment"
    BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An article's words."""

    article_id: int
    ticket_id: int
    subject: str = ""
    sender: str = ""
    recipients: str = ""
    #: Names and words of the attachments.
    attachments: str = ""
    body: str = ""
    #: Ticket number, and what plugins add; found anywhere.
    extra: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One word by its stem; several: side by side, as they are written."""

    text: str
    part: Part = Part.ANYWHERE
    #: Take a single word as it is written, not by its stem.
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A word that begins so."""

    text: str
    part: Part = Part.ANYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    """Every part matches; without parts, everything."""

    parts: tuple[Wanted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """At least one part matches; without parts, nothing."""

    parts: tuple[Wanted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """The part does not match."""

    part: Wanted


Wanted = Words | Beginning | All | Either | Without


class State(StrEnum):
    """Whether an index can be asked."""

    OK = "ok"
    MISSING = "missing"
    CORRUPT = "corrupt"
    #: Made by another version of this program, or for another database.
    OTHER = "other"
    #: None that can be asked, but one is being built.
    REBUILDING = "rebuilding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """An index's state in words."""

    state: State
    #: What is wrong, for a person; empty where nothing is.
    reason: str = ""
    #: While a rebuild runs: articles done and articles in all.
    done: int = 0
    total: int = 0

    @property
    def usable(self) -> bool:
        """Tell whether a search will be answered."""
        return self.state is State.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """One page of a search."""

    ticket_ids: tuple[int, ...]
    #: Whether there are more behind the last of them.
    more: bool = False
    #: What the person who searched should know.
    notes: tuple[str, ...] = ()


Progress = Callable[[int, int], None]


class Index(Protocol):
    """A full-text index."""

    def apply(
        self, documents: Sequence[Document], removed_ids: Iterable[int] = ()
    ) -> None:
        """Add or replace documents, forget others; one commit, all or nothing.

        The same batch a second time changes nothing.
        """
        ...

    def search(self, wanted: Wanted, *, limit: int | None, after: int = 0) -> Hits:
        """Return tickets by falling id, those below ``after``; no limit: all."""
        ...

    def segments(self) -> int:
        """Return in how many pieces the index lies."""
        ...

    def merge_some(self) -> bool:
        """Join some pieces, for at most a few seconds; tell whether there were any."""
        ...

    def state(self, *, thorough: bool = False) -> Condition:
        """Tell whether this index can be trusted; thorough: read all of it."""
        ...

    def belong_to(self, home: str) -> None:
        """Name the database whose words these are; another one's are of no use."""
        ...

    def being_rebuilt(self) -> bool:
        """Tell whether somebody is building a new index right now."""
        ...

    def sweep(self) -> None:
        """Remove what killed processes left behind."""
        ...

    def newest(self) -> int:
        """Return the greatest article id it has; 0 where it is empty."""
        ...

    def rebuild(
        self, batches: Iterator[Sequence[Document]], total: int, progress: Progress
    ) -> None:
        """Build a new index beside this one from all documents, then take its place."""
        ...
