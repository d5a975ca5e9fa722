"""The index lane: pays the index what the desk owes it, and rebuilds it when lost.

A turn reads at most 400 rows of ``index_todo``, commits their articles to the index,
then deletes the rows: a crash between the two repeats work that is idempotent. While
rows keep coming, a turn waits a little for more of them: a commit costs much, a
document little. The database away only makes it wait. An index that is missing,
damaged, of another version, for another database, or ahead of a restored database is
rebuilt from SQL; rows are kept meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from otrsd.clock import Clock
from otrsd.control import Control, Work
from otrsd.desk.search import document, rebuild
from otrsd.errors import TemporaryError
from otrsd.failpoint import failpoint
from otrsd.search.backend import Condition, Index, IndexAwayError, State
from otrsd.store import index_todo
from otrsd.store.engine import Database

#: At most so many articles in one commit.
BATCH = 400
#: Seconds between looks while nothing is owed.
_IDLE = 0.5
#: Seconds between looks while rows keep coming, and how long to wait for more.
_GATHER, _PATIENCE = 0.2, 1.0
#: Seconds to wait where the database is away or the index can't be built: doubled.
_SHORTEST, _LONGEST = 1.0, 60.0

_log = structlog.get_logger(__name__)


def run_index_lane(
    database: Database, index: Index, clock: Clock, control: Control
) -> None:
    """Run until a stop is asked for."""
    lane = IndexLane(database, index, clock, control.stopping)
    control.ready()
    wait = 0.0
    while not control.wait(wait):
        control.note(Work(stage="index"))
        wait = lane.turn()
        control.note(Work())


class IndexLane:
    """What the lane remembers between turns."""

    def __init__(
        self,
        database: Database,
        index: Index,
        clock: Clock,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stopping = stopping
        self._database = database
        self._index = index
        self._clock = clock
        self._started = False
        self._retry = _SHORTEST
        #: Rows up to this one are in the old index, but kept for the new one.
        self._kept = 0
        self._newest = 0
        self._gathering_since: float | None = None

    def turn(self) -> float:
        """Do what is to be done now; return after how many seconds to come again."""
        try:
            if not self._started:
                self._start()
            wait = self._pay()
        except IndexAwayError as error:
            return self._mend(str(error))
        except TemporaryError as error:
            return self._later("index.waiting", str(error))
        self._retry = _SHORTEST
        return wait

    def _start(self) -> None:
        """Look at all of the index before it is trusted."""
        with self._database.read() as connection:
            home = index_todo.home(connection)
            newest = index_todo.newest_article(connection)
        if not home:
            with self._database.write() as connection:
                home = index_todo.give_home(connection)
        self._index.belong_to(home)
        self._index.sweep()
        condition = self._index.state(thorough=True)
        if condition.usable and self._index.newest() > newest:
            condition = Condition(
                state=State.OTHER, reason="it knows articles the database has not"
            )
        if not condition.usable:
            self._rebuild(condition.reason)
        self._started = True

    def _pay(self) -> float:
        """Move one batch; wait for more while rows keep coming."""
        if not self._index.being_rebuilt():
            self._kept = 0
        with self._database.read() as connection:
            newest = index_todo.newest(connection)
        if newest <= self._kept:
            self._gathering_since = None
            return self._rest()
        if self._gathers(newest):
            return _GATHER
        return 0.0 if self._move() == BATCH else _GATHER

    def _gathers(self, newest: int) -> bool:
        """Tell whether to wait for more rows."""
        now = self._clock.monotonic()
        grew, self._newest = newest != self._newest, newest
        if self._gathering_since is None:
            self._gathering_since = now
        if newest - self._kept_or_first() >= BATCH:
            return False
        return grew and now - self._gathering_since < _PATIENCE

    def _kept_or_first(self) -> int:
        with self._database.read() as connection:
            first = index_todo.owed(connection, limit=1, after=self._kept)
        return first[0].id - 1 if first else self._newest

    def _move(self) -> int:
        """Index one batch; return how many rows it was."""
        self._gathering_since = None
        with self._database.read() as connection:
            owed = index_todo.owed(connection, limit=BATCH, after=self._kept)
            texts = index_todo.texts(connection, [row.article_id for row in owed])
        failpoint("relay.leased")
        # Asked between reading and writing: a rebuild that starts later reads all
        # of these articles itself.
        keep = self._index.being_rebuilt()
        gone = {row.article_id for row in owed} - {text.article_id for text in texts}
        self._index.apply([document(text) for text in texts], gone)
        failpoint("relay.index_committed")
        if keep:
            self._kept = owed[-1].id if owed else self._kept
        else:
            with self._database.write() as connection:
                index_todo.delete(connection, [row.id for row in owed])
        return len(owed)

    def _rest(self) -> float:
        """Use the quiet: see whether a reader found damage, and join segments."""
        condition = self._index.state()
        if condition.state in {State.MISSING, State.CORRUPT, State.OTHER}:
            raise IndexAwayError(condition.reason)
        if condition.usable and self._index.merge_some():
            return 0.0
        return _IDLE

    def _mend(self, reason: str) -> float:
        """Rebuild, unless that has just failed to help."""
        try:
            condition = self._index.state()
            if condition.state is State.REBUILDING:
                return _IDLE
            self._rebuild(condition.reason or reason)
        except TemporaryError as error:
            return self._later("index.waiting", str(error))
        # Should the new one be no better, the next one comes later.
        self._retry = min(self._retry * 2, _LONGEST)
        return self._retry if self._retry > _SHORTEST * 2 else 0.0

    def _rebuild(self, reason: str) -> None:
        _log.warning("index.rebuilding", reason=reason)
        rebuild(self._database, self._index, self._go_on)
        _log.info("index.rebuilt", segments=self._index.segments())

    def _go_on(self, done: int, total: int) -> None:
        """Give a rebuild up where a stop is asked for; the next start begins anew."""
        if self._stopping():
            raise TemporaryError(f"stopped after {done} of {total} articles")

    def _later(self, event: str, reason: str) -> float:
        wait = self._retry
        self._retry = min(wait * 2, _LONGEST)
        _log.warning(event, reason=reason, retry_in=wait)
        return wait
