"""The trace of one journey: which station decided what, because of whom.

Steps are small lists, ``[stage, who, what]`` or ``[stage, who, what, ms]``, so that
a stored trace stays below 1 KiB. "No match" of a rule is not stored: it is worked
out again from the configuration snapshot that the trace names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Characters of one step's text.
_LONGEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One decision, as explain prints it."""

    stage: str
    who: str
    what: str
    milliseconds: float | None = None


class Trace:
    """Collects the steps of one mail; a redone journey starts a new one."""

    def __init__(self, steps: Sequence[Any] = ()) -> None:
        self._steps: list[Any] = list(steps)
        #: Plugin → failure.
        self.failures: dict[str, str] = {}
        self.answered: set[str] = set()

    def copy(self) -> Trace:
        """Return a trace that goes on from here by itself."""
        twin = Trace(self._steps)
        twin.failures = dict(self.failures)
        twin.answered = set(self.answered)
        return twin

    def note(self, stage: str, who: str, what: str, seconds: float = -1.0) -> None:
        """Write a step down."""
        step: list[Any] = [stage, who, what[:_LONGEST]]
        if seconds >= 0:
            step.append(round(seconds * 1000, 2))
        self._steps.append(step)

    def failed(self, stage: str, plugin: str, failure: str) -> None:
        """Write a plugin's failure down."""
        self.failures[plugin] = failure
        self.note(stage, plugin, f"FAILED: {failure}")

    @property
    def stored(self) -> list[Any]:
        """Return the form that is stored."""
        return self._steps


def steps(stored: Sequence[Any]) -> tuple[Step, ...]:
    """Read the stored form."""
    return tuple(
        Step(
            stage=each[0],
            who=each[1],
            what=each[2],
            milliseconds=each[3] if len(each) > 3 else None,  # noqa: PLR2004
        )
        for each in stored
    )
