"""The way from the channels into the spool: one commit for all mails that wait.

In: envelope and content from any number of connections; out: the spool id, only
after the mail is on stable storage. One thread writes: while it waits for the disk
the next mails gather, so that the group grows with the load, and an idle receiver
waits for nothing. Fails per mail with :class:`~otrsd.errors.SpoolFullError` where
there is no room and with :class:`~otrsd.errors.TemporaryError` for everything else:
the client may try again. A caller that is cancelled loses the answer, not the mail.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import structlog

from otrsd import memory
from otrsd.clock import Clock
from otrsd.counters import MAIL_RECEIVED, Counters
from otrsd.errors import SpoolFullError, TemporaryError
from otrsd.ids import RANDOM_OCTETS, new_id
from otrsd.model.envelope import Envelope
from otrsd.spool import Arrival, Clash, Spool


class NotStoredError(TemporaryError):
    """Something unexpected happened with this very mail; the log says what."""


#: A commit takes at most so many mails …
_GROUP = 200
#: … and, apart from its first mail, so many octets.
_GROUP_OCTETS = 32 * 1024 * 1024
#: Seconds after its answer until a mail's octets are gone from this process.
_SOON = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiting:
    """One mail whose channel waits for the answer."""

    id: str
    envelope: Envelope
    chunks: Sequence[bytes]
    size: int
    answer: asyncio.Future[str]


#: What the writer thread found out about one mail: ``None`` is "stored".
_Outcome = tuple[_Waiting, TemporaryError | None]


class Intake:
    """Group commit into one spool, for one event loop."""

    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        random: Callable[[int], bytes] = os.urandom,
        counters: Counters | None = None,
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._random = random
        self._counters = counters or Counters()
        # ``None`` ends the thread.
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def accept(
        self,
        envelope: Envelope,
        chunks: Sequence[bytes],
        *,
        id: str | None = None,  # noqa: A002 - the spool's own word for it
    ) -> str:
        """Return the spool id once the mail is on stable storage."""
        if self._closed:
            raise TemporaryError("this receiver is stopping; try again in a minute")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(
            id=id or new_id(self._clock.now(), self._random(RANDOM_OCTETS)),
            envelope=envelope,
            chunks=chunks,
            size=sum(map(len, chunks)),
            answer=loop.create_future(),
        )
        self._start(loop)
        self._queue.put(waiting)
        # The client may be gone; the mail is committed all the same.
        try:
            spool_id = await asyncio.shield(waiting.answer)
        except TemporaryError:
            self._counters.count(MAIL_RECEIVED, envelope.channel, "deferred")
            raise
        self._counters.count(MAIL_RECEIVED, envelope.channel, "accepted")
        return spool_id

    async def close(self) -> None:
        """Take no more mails, answer those that wait, end the thread."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._write, args=(loop,), name="intake", daemon=True
            )
            self._thread.start()

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        first = self._queue.get()
        while first is not None:
            group, first_of_next, is_last = self._gather(first)
            outcomes = self._store(group)
            # A closed loop has nobody left who could hear the answer.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_answer, outcomes)
            if is_last:
                break
            first = first_of_next
            # Nothing of a large mail may stay while the thread waits for the next.
            del group, outcomes, first_of_next
            first = first or self._queue.get()

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], _Waiting | None, bool]:
        """Return a group, the mail that did not fit into it, and if it is the last."""
        group = [first]
        octets = first.size
        while len(group) < _GROUP:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting is None:
                return group, None, True
            octets += waiting.size
            if octets > _GROUP_OCTETS:
                return group, waiting, False
            group.append(waiting)
        return group, None, False

    def _store(self, group: Sequence[_Waiting]) -> list[_Outcome]:
        try:
            self._spool.room(sum(waiting.size for waiting in group))
            self._put(group)
        except Exception as error:  # noqa: BLE001 - whatever it is: refused for now
            if len(group) > 1 and not _is_away(error):
                # One mail may be too large, or the reason; the others go alone.
                return [self._store([waiting])[0] for waiting in group]
            refusal = _refusal(error, len(group))
            return [(waiting, refusal) for waiting in group]
        return [(waiting, None) for waiting in group]

    def _put(self, group: Sequence[_Waiting]) -> None:
        clashes = self._spool.put(
            [
                Arrival.of(waiting.id, waiting.envelope, waiting.chunks)
                for waiting in group
            ]
        )
        for clash in clashes:
            _alarm(clash)


def _is_away(error: Exception) -> bool:
    """Tell whether every other mail would meet the same error."""
    return isinstance(error, TemporaryError) and not isinstance(error, SpoolFullError)


def _refusal(error: Exception, mails: int) -> TemporaryError:
    """Log ``error``, once for all mails that met it; return what callers get."""
    log = structlog.get_logger()
    if not isinstance(error, TemporaryError):
        log.error("mail.rejected", mails=mails, reason=repr(error))
        return NotStoredError("the mail could not be stored; see the log")
    log.warning("mail.rejected", mails=mails, reason=str(error))
    return error


def _alarm(clash: Clash) -> None:
    structlog.get_logger().error(
        "mail.held",
        mail_id=clash.held_as,
        reason=clash.reason,
        look=f"otrsd spool show {clash.held_as}",
    )


def _answer(outcomes: Sequence[_Outcome]) -> None:
    for waiting, error in outcomes:
        if waiting.answer.done():
            continue
        if error is None:
            waiting.answer.set_result(waiting.id)
        else:
            waiting.answer.set_exception(error)
    if any(waiting.size > memory.LARGE for waiting, _ in outcomes):
        # The channels still have the octets in hand; soon nobody does.
        asyncio.get_running_loop().call_later(_SOON, memory.give_back)
