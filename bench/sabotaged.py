"""``otrsd`` with a promise broken on purpose, to show that the torture notices.

``python -m bench.sabotaged NAME -c CONFIG run`` breaks one thing in this process, and
so in every process it forks, and then is the command ``otrsd``. Nothing of this is in
the product. Each sabotage names the point at which a kill must show it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otrsd.channels.intake import Intake
from otrsd.ids import RANDOM_OCTETS, new_id
from otrsd.mime.parse import parse
from otrsd.model.mail import Mail
from otrsd.postmaster import screen
from otrsd.postmaster.worker import Worker
from otrsd.spool import Claimed
from otrsd.store import articles, ledger, traces

#: Seconds between an early reply and the commit: the client has surely read it.
_LATE = 0.1
#: A mail with this line kills whoever parses it.
POISON = b"X-Poison: yes"


def reply_early() -> None:
    """Answer 250 before the commit."""
    honest = Intake.accept

    async def accept(
        self: Intake,
        envelope: Any,
        chunks: Any,
        *,
        id: str | None = None,  # noqa: A002 - the honest one's name
    ) -> str:
        name = id or new_id(self._clock.now(), self._random(RANDOM_OCTETS))
        loop = asyncio.get_running_loop()
        later = honest(self, envelope, chunks, id=name)
        loop.call_later(_LATE, lambda: _keep(asyncio.ensure_future(later)))
        return name

    Intake.accept = accept  # type: ignore[method-assign] # that is the sabotage


_kept: set[asyncio.Future[Any]] = set()


def _keep(task: asyncio.Future[Any]) -> None:
    _kept.add(task)
    task.add_done_callback(_kept.discard)


def no_unique() -> None:
    """Forget on the desk which spool ids and mails were seen."""
    ledger.read = lambda *_: {}
    ledger.add = lambda *_: None
    traces.add = lambda *_: None
    articles.by_dedup_keys = lambda *_: {}


def forget_row() -> None:
    """Remove the spool row before the desk commits."""
    honest = Worker.carry

    def carry(self: Worker, batch: Sequence[Claimed]) -> None:
        self._spool.done([each.id for each in batch])
        honest(self, batch)

    Worker.carry = carry  # type: ignore[method-assign] # that is the sabotage


def poison() -> None:
    """Let one kind of mail kill the core itself."""

    def deadly(content: bytes) -> Mail:
        if POISON in content:
            os.abort()
        return parse(content)

    screen.parse = deadly  # type: ignore[attr-defined] # that is the sabotage


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """A broken promise."""

    commit: Callable[[], None]
    #: The failpoint at which a kill must show it; empty: no kill is needed.
    shown_at: str = ""


SABOTAGES: Mapping[str, Sabotage] = {
    "reply-early": Sabotage(commit=reply_early, shown_at="spool.before_commit"),
    "no-unique": Sabotage(commit=no_unique, shown_at="worker.after_commit"),
    "forget-row": Sabotage(commit=forget_row, shown_at="worker.before_commit"),
    "poison": Sabotage(commit=poison),
}


def main(arguments: Sequence[str]) -> int:
    """Commit the sabotage and be ``otrsd``."""
    from otrsd.cli.main import main as otrsd  # noqa: PLC0415 - after the sabotage

    SABOTAGES[arguments[0]].commit()
    return otrsd(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
