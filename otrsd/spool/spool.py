"""The spool's one door: each method is one transaction.

The functions behind it stand in ``arrivals``, ``claims``, ``entries``, ``health``
and ``room``. All methods are synchronous and may be called from any thread and any
process; see the package for what they raise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from otrsd.clock import Clock
from otrsd.control import Work
from otrsd.errors import SpoolFullError
from otrsd.failpoint import failpoint
from otrsd.ids import RANDOM_OCTETS, new_id
from otrsd.spool import arrivals as _arrivals, claims, entries, health, room
from otrsd.spool.file import SpoolFile
from otrsd.spool.values import Arrival, Claimed, Clash, Entry, PluginHealth, State

#: Octets a batch may hold at once, so that a worker's memory stays flat.
BATCH_OCTETS = 8 * 1024 * 1024
#: Free pages beyond this are given back to the disk …
_SPARE_OCTETS = 32 * 1024 * 1024
#: … this many at a time.
_PAGES_A_TIME = 512


class Spool:
    """The inbound spool in the file ``path``."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        floors: room.Floors | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.path = path
        self._clock = clock
        self._floors = floors or room.Floors()
        self._random = random
        self._file = SpoolFile(path)

    def close(self) -> None:
        """Close this process's connections; a later use opens new ones."""
        self._file.close()

    def examine(self) -> None:
        """Read the whole file through; TemporaryError if it is damaged.

        What is put into a damaged file may never be found again.
        """
        self._file.examine()

    # Taking mail in.

    def put(self, arrivals: Sequence[Arrival]) -> tuple[Clash, ...]:
        """Store all ``arrivals`` in one commit; they are on the disk on return.

        An id that is there with the same octets is a no-op; one with other octets
        is kept as a held mail, and reported, so that the caller raises an alarm.
        """
        with self._file.write() as connection:
            clashes = _arrivals.put(connection, arrivals, self._fresh_id)
            failpoint("spool.before_commit")
        failpoint("spool.after_commit")
        return clashes

    def room(self, size: int = 0) -> None:
        """Raise SpoolFullError if ``size`` more octets would go below the floors."""
        with self._file.read() as connection:
            page, pages, spare = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_size", "page_count", "freelist_count")
            )
        room.check_size((pages - spare) * page, size, self._floors)
        try:
            room.check_disk(self.path.parent, size, self._floors, spare * page)
        except OSError as error:
            raise SpoolFullError(
                f"the spool's folder {self.path.parent} can't be examined: {error}"
            ) from error

    # The workers' side.

    def claim(
        self,
        worker: str,
        limit: int,
        *,
        now: datetime,
        max_octets: int = BATCH_OCTETS,
    ) -> tuple[Claimed, ...]:
        """Lease the oldest mails for ``worker``: at most ``limit``, one if alone.

        A sender with a mail in another hand is skipped; the first mail is given
        whatever its size, further ones only up to ``max_octets`` together.
        """
        seconds = now.timestamp()
        # Looking first keeps an idle worker out of the writers' line.
        with self._file.read() as connection:
            if not claims.is_any_due(connection, seconds):
                return ()
        with self._file.write() as connection:
            seqs = claims.claim(
                connection, worker, limit=limit, octets=max_octets, now=seconds
            )
        with self._file.read() as connection:
            return tuple(claims.leased(connection, seqs))

    def done(self, ids: Sequence[str]) -> None:
        """Remove delivered mails; ids that are gone already are no error."""
        with self._file.write() as connection:
            claims.done(connection, ids)
            page, spare = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_size", "freelist_count")
            )
            if page * spare > _SPARE_OCTETS:
                # The driver steps this statement once, which frees one page.
                for _ in range(_PAGES_A_TIME):
                    connection.execute("PRAGMA incremental_vacuum(1)")

    def defer(
        self, spool_id: str, reason: str, until: datetime, *, tried: bool = True
    ) -> None:
        """Put a mail back until ``until`` (at most an hour ahead).

        ``tried=False`` where the mail is not to blame (database away).
        """
        latest = self._clock.now() + claims.LONGEST_DEFER
        seconds = min(until, latest).timestamp()
        with self._file.write() as connection:
            claims.defer(connection, spool_id, reason, seconds, tried=tried)

    def hold(self, spool_id: str, reason: str) -> None:
        """Keep a mail until a person releases it."""
        with self._file.write() as connection:
            claims.hold(connection, spool_id, reason)

    def give_back(self, ids: Iterable[str], *, alone: bool) -> None:
        """Return leased mails without a strike; ``alone``: next time one by one."""
        with self._file.write() as connection:
            claims.give_back(connection, ids, alone=alone)

    def put_down(self, worker: str) -> None:
        """Return everything that a living worker has leased, without a strike."""
        with self._file.write() as connection:
            claims.put_down(connection, worker)

    def worker_died(self, worker: str, work: Work) -> tuple[str, ...]:
        """Settle what a worker had in hand when it died or was ended for overrun.

        Returns the ids that are held now. The caller doesn't call this where the
        death says nothing about the mail (stop, kill of the whole group): there
        :meth:`recover` gives back without a strike and without ``alone``.
        """
        with self._file.write() as connection:
            if work.alone and work.plugin:
                reason = f"a worker died or overran in it (stage {work.stage})"
                health.failed(connection, work.plugin, reason, self._clock.now())
            return claims.worker_died(connection, worker, work)

    def recover(self, live_workers: Collection[str] = ()) -> int:
        """Give back the leases of workers that do not live; return how many."""
        with self._file.write() as connection:
            return claims.recover(connection, live_workers)

    # A person's side.

    def entries(
        self, state: State | None = None, *, limit: int = 1000
    ) -> tuple[Entry, ...]:
        """Return the mails in ``state`` (``None``: in any), oldest first."""
        with self._file.read() as connection:
            return entries.entries(connection, state, limit)

    def entry(self, spool_id: str) -> Entry:
        """Return one mail; NotFoundError if it is not in the spool."""
        with self._file.read() as connection:
            return entries.entry(connection, spool_id)

    def content(self, spool_id: str) -> bytes:
        """Return a mail's content; NotFoundError if it is not in the spool."""
        with self._file.read() as connection:
            seq = entries.seq_of(connection, spool_id)
            return _arrivals.content(connection, seq)

    def retry(self, spool_id: str) -> None:
        """Let a deferred or held mail run now, under the same verdicts."""
        with self._file.write() as connection:
            entries.again(connection, spool_id, released=False)

    def release(self, spool_id: str) -> None:
        """Let a held mail pass: a verdict that holds does not count again."""
        with self._file.write() as connection:
            entries.again(connection, spool_id, released=True)

    def discard(self, spool_id: str) -> Claimed:
        """Return a mail at rest for the trash, kept held until :meth:`done`.

        The caller commits the trash row, then calls ``done``: a crash between
        leaves the mail held, and doing it again is harmless.
        """
        with self._file.write() as connection:
            entries.set_aside(connection, spool_id, "being discarded by a person")
            seq = entries.seq_of(connection, spool_id)
            return claims.leased(connection, [seq])[0]

    def counts(self) -> Mapping[State, int]:
        """Return how many mails are in each state."""
        with self._file.read() as connection:
            return entries.counts(connection)

    @property
    def oldest_seconds(self) -> float:
        """Return the age of the oldest mail that is not held; 0 if there is none."""
        ages = self.oldest_by_state()
        return max((age for s, age in ages.items() if s is not State.HELD), default=0.0)

    def oldest_by_state(self) -> Mapping[State, float]:
        """Return the age in seconds of the oldest mail of each state there is."""
        with self._file.read() as connection:
            oldest = entries.oldest(connection)
        now = self._clock.now().timestamp()
        return {state: max(0.0, now - at) for state, at in oldest.items()}

    # Failing plugins.

    def plugin_failed(self, name: str, error: str) -> bool:
        """Count a failure; tell whether the plugin is switched off now."""
        with self._file.write() as connection:
            return health.failed(connection, name, error, self._clock.now())

    def plugin_recovered(self, name: str) -> None:
        """Forget the failures of a plugin that has answered again."""
        with self._file.write() as connection:
            health.recovered(connection, name)

    def plugin_health(self) -> tuple[PluginHealth, ...]:
        """Return the plugins whose last call failed."""
        with self._file.read() as connection:
            return health.health(connection, self._clock.now())

    def _fresh_id(self) -> str:
        return new_id(self._clock.now(), self._random(RANDOM_OCTETS))
