"""The index kept by Whoosh 2.7.4, behind :class:`~otrsd.search.backend.Index`.

Whoosh keeps segments, table of contents, ordered hash and columns; how a list is
written and how sets are joined is ours (``codec.py``, ``reader.py``), because its
own way costs five times as much. Whatever is wrong with a file — missing, short,
other octets, another version — becomes :class:`IndexAwayError` for who searches,
and a note in the folder, by which the index lane rebuilds from SQL.

Known limits: results have no score, the newest ticket comes first; a segment has at
most 65,535 articles, so a million of them lie in some twenty segments.
"""

from __future__ import annotations

import shutil
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whoosh.index import FileIndex

from otrsd.clock import Clock
from otrsd.errors import TemporaryError
from otrsd.search.analyzer import VERSION as ANALYZER_VERSION, Analyzer
from otrsd.search.backend import (
    Condition,
    Document,
    Hits,
    IndexAwayError,
    IndexFullError,
    Progress,
    State,
    Wanted,
)
from otrsd.search.whoosh.checks import (
    DAMAGE,
    MACHINE,
    check_sizes,
    contents,
    damage_of,
)
from otrsd.search.whoosh.codec import (
    BYTE_ORDER,
    MappedStorage,
    PackedSegment,
    make_schema,
)
from otrsd.search.whoosh.folder import Folder
from otrsd.search.whoosh.reader import OpenSegment
from otrsd.search.whoosh.tickets import Search
from otrsd.search.whoosh.writer import (
    SMALL,
    BatchWriter,
    choose_merge,
)

#: Changes whenever the files change.
FORMAT = 1
#: At most so many documents in one commit.
BATCH = 400
#: A searcher looks for new commits at most so often, in seconds.
_FRESH = 1.0
#: How often opening is tried while commits come between.
_TRIES = 10
#: With more segments than this, large ones are joined under load too.
_MANY = 25
#: Documents joined at once while nothing else is to be done.
_LARGE = 20_000


class WhooshIndex:
    """See the module. ``home`` names the database whose words these are."""

    def __init__(self, path: Path, clock: Clock, *, home: str = "") -> None:
        self.folder = Folder(path)
        self._clock = clock
        self._home = home
        self._analyzer = Analyzer()
        self._build: Path | None = None
        self._open: dict[str, OpenSegment] = {}
        self._segments: tuple[PackedSegment, ...] = ()
        self._looked = float("-inf")
        self._answer: tuple[Wanted, list[int], tuple[str, ...]] | None = None

    # Writing.

    def apply(
        self, documents: Sequence[Document], removed_ids: Iterable[int] = ()
    ) -> None:
        """Add or replace documents, forget others; one commit."""
        removed = set(removed_ids)
        if not documents and not removed:
            return
        with self._damage_noted(), self.folder.writing():
            build = self._usable()
            _write(build, documents, removed, self._analyzer)
            crowded = len(contents(build)[1]) > _MANY
            self._join(build, _LARGE if crowded else SMALL)
        self._looked = float("-inf")

    def merge_some(self) -> bool:
        """Join some segments; tell whether there were any to join."""
        with self._damage_noted(), self.folder.writing():
            joined = self._join(self._usable(), _LARGE)
        self._looked = float("-inf")
        return joined

    def rebuild(
        self, batches: Iterator[Sequence[Document]], total: int, progress: Progress
    ) -> None:
        """Build a new index beside this one, then take its place."""
        with self.folder.rebuilding() as alone:
            if not alone:
                raise TemporaryError(
                    f"somebody else is rebuilding the index in {self.folder.path};"
                    " wait until that is done"
                )
            build = self._new()
            try:
                self._fill(build, batches, total, progress)
                with self.folder.writing():
                    old = self.folder.live()
                    self.folder.adopt(build)
            except BaseException:
                shutil.rmtree(build, ignore_errors=True)
                raise
            if old is not None:
                shutil.rmtree(old, ignore_errors=True)
        self._close()

    def _fill(
        self,
        build: Path,
        batches: Iterator[Sequence[Document]],
        total: int,
        progress: Progress,
    ) -> None:
        done = 0
        self.folder.note_progress(done, total)
        for documents in batches:
            _write(build, documents, set(), self._analyzer)
            while self._join(build, _LARGE):
                pass
            done += len(documents)
            self.folder.note_progress(done, max(done, total))
            progress(done, max(done, total))

    def _new(self) -> Path:
        build = self.folder.new_build(self._manifest())
        FileIndex.create(MappedStorage(str(build)), make_schema(), "MAIN")
        # An empty commit gives the table of contents its checksum.
        with _commit(build):
            pass
        return build

    def _join(self, build: Path, most: int) -> bool:
        _, segments = contents(build)
        chosen = choose_merge(segments, most)
        if not chosen:
            return False
        wanted = {each.segment_id() for each in chosen}
        with _commit(build) as writer:
            writer.join([s for s in writer.segments if s.segment_id() in wanted])
        return True

    # Reading.

    def search(self, wanted: Wanted, *, limit: int | None, after: int = 0) -> Hits:
        """Return tickets by falling id, those below ``after``; no limit: all."""
        with self._damage_noted():
            self._refresh()
            if self._answer is None or self._answer[0] != wanted:
                search = Search(self._opened(), self._analyzer, self._clock)
                # The next page of the same search is the same set.
                found = sorted(search.tickets(wanted), reverse=True)
                self._answer = (wanted, found, tuple(search.notes))
        _, found, notes = self._answer
        first = bisect_left(found, -after + 1, key=lambda each: -each) if after else 0
        last = len(found) if limit is None else first + limit
        page = tuple(found[first:last])
        return Hits(ticket_ids=page, more=last < len(found), notes=notes)

    def _opened(self) -> list[tuple[OpenSegment, frozenset[int]]]:
        return [
            (self._open[each.segment_id()], frozenset(each.deleted_docs()))
            for each in self._segments
        ]

    def segments(self) -> int:
        """Return in how many segments the index lies."""
        build = self.folder.live()
        return 0 if build is None else len(contents(build)[1])

    def state(self, *, thorough: bool = False) -> Condition:
        """Tell whether this index can be trusted."""
        condition = self._examine(thorough=thorough)
        if condition.state is not State.OK and self.folder.is_rebuilding():
            done, total = self.folder.progress()
            return Condition(
                state=State.REBUILDING, reason=condition.reason, done=done, total=total
            )
        return condition

    def newest(self) -> int:
        """Return the greatest article id it has; 0 where it is empty."""
        with self._damage_noted():
            segments = contents(self._usable())[1]
        return max((each.last for each in segments), default=0)

    def belong_to(self, home: str) -> None:
        """Name the database whose words these are."""
        self._home = home

    def being_rebuilt(self) -> bool:
        """Tell whether somebody is building a new index right now."""
        return self.folder.is_rebuilding()

    def sweep(self) -> None:
        """Remove what killed processes left behind."""
        self.folder.sweep()

    def close(self) -> None:
        """Close all files."""
        self._close()

    def _examine(self, *, thorough: bool) -> Condition:
        build = self.folder.live()
        if build is None:
            return Condition(state=State.MISSING, reason="there is no index yet")
        if self.folder.manifest(build) != self._manifest(build):
            reason = "made by another version, or for another database"
            return Condition(state=State.OTHER, reason=reason)
        damage = self.folder.damage()
        if not damage:
            damage = damage_of(build, thorough=thorough)
        if damage:
            return Condition(state=State.CORRUPT, reason=damage)
        return Condition(state=State.OK)

    def _manifest(self, build: Path | None = None) -> dict[str, Any]:
        """Return what a build of ours says; who did not name a home takes any."""
        home: Any = self._home
        if not home and build is not None:
            home = self.folder.manifest(build).get("home")
        return {
            "format": FORMAT,
            "analyzer": ANALYZER_VERSION,
            "byte_order": BYTE_ORDER,
            "home": home,
        }

    def _usable(self) -> Path:
        """Return the live build, or say why there is none."""
        build = self.folder.live()
        if build is None or self.folder.manifest(build) != self._manifest(build):
            condition = self.state()
            raise IndexAwayError(f"the index can't be used: {_explained(condition)}")
        return build

    def _refresh(self) -> None:
        """Open what was committed since the last look."""
        now = self._clock.monotonic()
        if now - self._looked < _FRESH:
            return
        for _ in range(_TRIES):
            build = self._usable()
            number, segments = contents(build)
            try:
                self._open_segments(build, segments)
            except FileNotFoundError:
                # A commit or a swap may have come between; else it is damage.
                if build == self.folder.live() and number == contents(build)[0]:
                    raise
            else:
                break
        self._looked = now

    def _open_segments(self, build: Path, segments: tuple[PackedSegment, ...]) -> None:
        if build != self._build:
            self._close()
            self._build = build
        storage = MappedStorage(str(build))
        for segment in segments:
            name = segment.segment_id()
            if name not in self._open:
                check_sizes(build, segment)
                self._open[name] = OpenSegment(storage, segment)
        self._answer = None
        self._segments = segments
        for name in self._open.keys() - {each.segment_id() for each in segments}:
            self._open.pop(name).close()

    def _close(self) -> None:
        for opened in self._open.values():
            opened.close()
        self._open.clear()
        self._segments = ()
        self._answer = None
        self._looked = float("-inf")

    @contextmanager
    def _damage_noted(self) -> Iterator[None]:
        """Turn whatever a damaged file raises into one error, and note it."""
        build = self.folder.live()
        try:
            yield
        except DAMAGE as error:
            self._close()
            if isinstance(error, OSError) and error.errno in MACHINE:
                raise IndexFullError(
                    f"the index in {self.folder.path} can't be written or read for"
                    f" now: {error.strerror}; make room, or check the folder's rights"
                ) from error
            reason = f"{type(error).__name__}: {error}"
            if build is not None and build == self.folder.live():
                self.folder.note_damage(build, reason)
            raise IndexAwayError(
                f"the index in {self.folder.path} is damaged ({reason}); the running"
                " daemon rebuilds it by itself, or call: otrsd reindex"
            ) from error


def _explained(condition: Condition) -> str:
    if condition.state is State.REBUILDING:
        return f"it is being rebuilt ({condition.done} of {condition.total} articles)"
    return f"{condition.reason}; the daemon builds it, or call: otrsd reindex"


@contextmanager
def _commit(build: Path) -> Iterator[BatchWriter]:
    """Give a writer; commit on a clean exit, else leave the index as it was."""
    index = FileIndex(MappedStorage(str(build)), indexname="MAIN")
    writer = BatchWriter(index)
    try:
        yield writer
        writer.save()
    finally:
        if not writer.is_closed:
            writer.cancel()


def _write(
    build: Path, documents: Sequence[Document], removed: set[int], analyzer: Analyzer
) -> None:
    """Commit one batch to a build."""
    contents(build)
    with _commit(build) as writer:
        known = max((each.last for each in writer.segments), default=0)
        # What is newer than all we have can't be there yet: nothing to delete.
        old = {each.article_id for each in documents if each.article_id <= known}
        writer.delete(old | removed)
        latest = {each.article_id: each for each in documents}
        if latest:
            writer.add(list(latest.values()), analyzer)
