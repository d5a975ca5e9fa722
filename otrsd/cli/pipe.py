"""``otrsd pipe`` in the help; the command itself is dispatched before click."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pipe(arguments: tuple[str, ...]) -> int:
    """Take one mail from stdin; what an MTA calls."""
    from otrsd.pipe import main

    _ = arguments
    return main()
