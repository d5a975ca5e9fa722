"""The roles of a node: what they are called, and in which order they start and stop.

The composition root gives a function for each role it wants to run here; this
module arranges them. A stop closes the ways in first, then lets the postmasters
finish the mail in hand, then ends what pays side effects and watches time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass

from otrsd.control import Control, Work

#: A role's work: returns once ``control`` asks for a stop. The second argument is
#: what its dead predecessor had in hand; the role does the bookkeeping for it
#: before it calls ``control.ready()``, until then it would be handed on again.
Run = Callable[[Control, Work | None], None]

#: Role → rank of its start, rank of its stop. Equal ranks go together.
RANKS: Mapping[str, tuple[int, int]] = {
    "receiver": (0, 0),
    "postmaster": (1, 1),
    "relay": (2, 2),
    "index": (2, 2),
    "mail": (2, 2),
    "extract": (2, 2),
    "scheduler": (3, 2),
    "health": (3, 3),
}

#: What ``--role`` may name → the roles that it stands for.
DUTIES: Mapping[str, tuple[str, ...]] = {
    "receiver": ("receiver",),
    "postmaster": ("postmaster",),
    "relay": ("relay", "index", "mail", "extract"),
    "scheduler": ("scheduler",),
}

#: More postmasters than this are never started without being asked for.
_MOST_POSTMASTERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One process to be: its name, its work, its place in the order."""

    name: str
    run: Run
    #: Lower ranks are started first.
    start: int = 0
    #: Lower ranks are stopped first, and are gone before the next are asked.
    stop: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What this node is to run."""

    #: Keys of :data:`DUTIES`; health runs with any of them.
    duties: AbstractSet[str] = frozenset(DUTIES)
    #: Threads of one process, each with its own connections; one postmaster.
    single: bool = False
    #: One postmaster, and no mail leaves the house.
    dev: bool = False

    def has(self, role: str) -> bool:
        """Tell whether this node runs ``role``."""
        if role == "mail" and self.dev:
            return False
        duty = next((d for d, roles in DUTIES.items() if role in roles), None)
        return duty is None or duty in self.duties


def postmasters(wanted: int, cores: int | None) -> int:
    """Return how many postmasters run: ``wanted``, or what fits the machine."""
    return wanted or max(1, min(_MOST_POSTMASTERS, (cores or 1) - 1))


def arrange(runs: Mapping[str, Run], *, postmasters: int) -> tuple[Role, ...]:
    """Return the roles to run: those that ``runs`` has, the postmaster numbered.

    An unknown role name raises ``KeyError``: only the composition root calls this.
    """
    roles = []
    for role, run in runs.items():
        start, stop = RANKS[role]
        count = postmasters if role == "postmaster" else 0
        names = [f"{role}-{n}" for n in range(1, count + 1)] or [role]
        roles += [Role(name=name, run=run, start=start, stop=stop) for name in names]
    return tuple(sorted(roles, key=lambda role: role.start))


#: Imports everything, loads the configuration and returns the roles to run; called
#: in the template process, so that the supervisor stays small. An error refuses the
#: start with its text and its ``exit_code``.
Prepare = Callable[[], Sequence[Role]]
