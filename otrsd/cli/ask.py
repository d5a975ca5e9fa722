"""Before a command changes something: show it, ask, and count what failed.

``--dry-run`` shows and changes nothing; without ``--yes`` a person is asked. More
than 100 things at once want their number typed (``--yes=214``).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from otrsd.cli.output import say, tell
from otrsd.errors import OtrsdError

#: More than these want the count typed.
MANY = 100
#: Exit code where some of several items failed.
SOME_FAILED = 5
#: The word that means every mail (capitals as a safety catch, as postsuper has it).
ALL = "ALL"
#: Exit code where the person said no.
DECLINED = 1


class Asking(click.Command):
    """A command with ``--yes`` and ``--yes=COUNT``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``--yes=COUNT`` as the option that click can have beside ``--yes``."""
        named = [
            arg.replace("--yes=", "--sure-of=", 1) if arg.startswith("--yes=") else arg
            for arg in args
        ]
        return super().parse_args(ctx, named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller has said of this change."""

    dry_run: bool
    yes: bool
    #: The number of things the caller expects; ``None``: not said.
    count: int | None

    def agrees(self, verb: str, things: Sequence[str]) -> bool:
        """Show what is about to happen; tell whether it may."""
        for thing in things if self.dry_run or not self.yes else ():
            say(f"{'would ' if self.dry_run else ''}{verb} {thing}")
        if self.dry_run:
            tell(f"dry run: nothing was changed ({len(things)} to {verb.rstrip(':')})")
            return False
        if self.yes:
            self._check_count(verb, len(things))
            return True
        return _answer(verb, len(things))

    def _check_count(self, verb: str, count: int) -> None:
        if self.count is None and count <= MANY:
            return
        if self.count != count:
            raise click.UsageError(
                f"this would {verb} {count}, and --yes has to say so. "
                f"Look with --dry-run, then try: --yes={count}"
            )


def changing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--dry-run`` and ``--yes``; it gets them as ``asked``."""

    @functools.wraps(command)
    def with_asked(
        *args: Any, dry_run: bool, yes: bool, sure_of: int | None, **named: Any
    ) -> Any:
        agreed = yes or sure_of is not None
        asked = Asked(dry_run=dry_run, yes=agreed, count=sure_of)
        return command(*args, asked=asked, **named)

    options = (
        click.option("--dry-run", is_flag=True, help="Show it, change nothing."),
        click.option(
            "--yes", is_flag=True, help="Don't ask; --yes=COUNT for more than 100."
        ),
        click.option("--sure-of", type=int, hidden=True),
    )
    wrapped: Callable[..., Any] = with_asked
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def do_each(things: Sequence[str], deed: Callable[[str], str]) -> int:
    """Do it to each and say what was done; return the exit code.

    One failure does not stop the rest. Where nothing succeeded, the first failure
    is raised, with its own exit code.
    """
    failures: list[OtrsdError] = []
    for thing in things:
        try:
            say(deed(thing))
        except OtrsdError as error:
            failures.append(error)
    if failures and len(failures) == len(things):
        for failure in failures[1:]:
            tell(str(failure))
        raise failures[0]
    for failure in failures:
        tell(str(failure))
    return SOME_FAILED if failures else 0


def _answer(verb: str, count: int) -> bool:
    """Ask on the terminal; without one, say what is missing."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"nobody is there to be asked whether to {verb} {count}. "
            "Look with --dry-run, then try: --yes"
        )
    if count > MANY:
        typed = click.prompt(f"{verb} {count}: type the number", err=True)
        agreed = typed.strip() == str(count)
    else:
        agreed = click.confirm(f"{verb} {count}?", err=True)
    if not agreed:
        tell("nothing was changed")
    return agreed
