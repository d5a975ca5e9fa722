"""A reload: a new generation beside the old one, then the swap, or the old one stays.

The new template loads the new configuration; its receiver takes the listening sockets
over (:mod:`otrsd.channels.heirloom`). Until that receiver is ready the old generation
does everything as before, and any failure leaves it so. From then on the old one is
asked to stop: each mail in hand is finished on its own configuration, and a new role
starts when its last namesake is gone, so that no two ever hold the same leases.

``state/reload.json`` tells what came of it: a caller that saw ``begun`` at *n* before
its SIGHUP has its answer when ``done`` is above *n*.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from otrsd.clock import Clock
from otrsd.daemon.children import Child, Death, cause_of
from otrsd.daemon.generation import Generation

RESULT_NAME = "reload.json"
#: The role whose readiness decides; it holds the ways in.
_FIRST = "receiver"
#: What loading may take, and opening the ways in.
_LOADING_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of the last reload; a daemon's start counts as one."""

    #: How many have been begun and ended since the start.
    begun: int = 0
    done: int = 0
    ok: bool = True
    #: Why not, for a person; empty where it is ok.
    text: str = ""
    #: When the last one ended, and when the last good one did (ISO 8601, UTC).
    at: str = ""
    succeeded_at: str = ""


class Results:
    """Writes ``reload.json``; a disk without room costs only the news."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._path = state / RESULT_NAME
        self._clock = clock
        self._now = Result()

    def clear(self) -> None:
        """Forget what came of the reloads of a daemon before."""
        with suppress(OSError):
            self._path.unlink()

    def begin(self) -> None:
        """Note that a reload begins, before it reads anything."""
        self._write(replace(self._now, begun=self._now.begun + 1))

    def end(self, *, ok: bool, text: str = "") -> None:
        """Note what came of it."""
        at = self._clock.now().isoformat(timespec="seconds")
        good = at if ok else self._now.succeeded_at
        done = replace(self._now, done=self._now.begun, ok=ok, text=text, at=at)
        self._write(replace(done, succeeded_at=good))

    def _write(self, result: Result) -> None:
        self._now = result
        fresh = self._path.with_suffix(".new")
        with suppress(OSError):
            fresh.write_text(json.dumps(asdict(result)) + "\n", encoding="utf-8")
            fresh.replace(self._path)


def read(state: Path) -> Result:
    """Return the last result; that of a new daemon where there is none."""
    try:
        text = (state / RESULT_NAME).read_text(encoding="utf-8")
        return Result(**json.loads(text))
    except (OSError, ValueError, TypeError):
        return Result()


class Reload:
    """One reload, from the second template to the last old child's end."""

    def __init__(self, new: Generation, now: float, stop_seconds: float) -> None:
        self.new = new
        #: The generation that is being replaced; ``None`` before the swap.
        self.old: Generation | None = None
        self._deadline = now + _LOADING_SECONDS
        self._stop_seconds = stop_seconds
        self._death: Death | None = None

    def hear_new(self) -> None:
        """Before the swap: take in what the new template says."""
        for death, _ in self.new.hear():
            self._death = death

    def failure(self, now: float) -> str:
        """Before the swap: say why it can't succeed; empty while it may."""
        if self.new.refused is not None:
            return self.new.refused.text
        if self.new.wire.ended:
            return f"the new template ended: {cause_of(self.new.reap(block=True) or 0)}"
        if self._death is not None:
            return self._death.said or f"{_FIRST}: {self._death.cause}"
        if now >= self._deadline:
            return f"it took longer than {_LOADING_SECONDS:g} s"
        return ""

    def advance(self) -> bool:
        """Before the swap: start the new ways in; tell whether they are open."""
        if not self.new.loaded:
            return False
        first = self.new.children.get(_FIRST)
        if first is None:
            return True
        if not first.ordered:
            self.new.start(first)
        return first.ready

    def swap(self, old: Generation, now: float) -> None:
        """Ask every child of the old generation to finish and end."""
        self.old = old
        self._deadline = now + self._stop_seconds
        for child in old.living():
            old.stop(child)

    def may_start(self, child: Child) -> bool:
        """Tell whether, after the swap, the old namesakes of ``child`` are gone."""
        if self.old is None:
            # Before the swap the old generation starts what dies, as ever.
            return True
        kind = _kind(child.line.name)
        return kind == _FIRST or all(
            _kind(each.line.name) != kind for each in self.old.living()
        )

    def retire(self, now: float) -> bool:
        """After the swap: end what does not end; tell whether all is done."""
        old = self.old
        if old is None:
            return False
        if now >= self._deadline:
            for child in old.living():
                if not child.killed_for:
                    old.kill(child, "did not finish in time after a reload")
        return not old.living() and self.new.ready()


def _kind(name: str) -> str:
    """Return the role of ``postmaster-2``."""
    return name.partition("-")[0]
