"""How far a long read is: a bar on a terminal, else a line on stderr now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

#: Without a terminal, say how far it is after so many.
_EVERY = 10_000


@contextmanager
def shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give what shows the progress: a bar on a terminal, else lines on stderr."""
    if not sys.stderr.isatty():
        yield _Lines(what).progress
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(f"reading {what}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show


class _Lines:
    """Says now and then how far it is."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = 0

    def progress(self, done: int, total: int) -> None:
        """Say so after every ten thousand, and at the end."""
        if done >= self._next or done == total:
            click.echo(f"{done:,} of {total:,} {self._what}", err=True)
            self._next = done + _EVERY
