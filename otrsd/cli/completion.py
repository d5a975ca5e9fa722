"""``otrsd completion``: what a shell wants to complete our commands and options.

The script is click's own; it calls ``otrsd`` with ``_OTRSD_COMPLETE`` set at each TAB.
Names of commands come from a table, so that nothing is loaded for them.
"""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
#: By this variable the script asks, and click answers in its place.
VARIABLE = "_OTRSD_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> int:
    """Print what makes TAB complete commands, options and files.

    Bash: otrsd completion bash > /etc/bash_completion.d/otrsd. Zsh: otrsd completion
    zsh > a file _otrsd in a folder of $fpath. Fish: otrsd completion fish >
    ~/.config/fish/completions/otrsd.fish.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from otrsd.cli.main import cli

    made_for = get_completion_class(shell)
    if made_for is None:
        raise AssertionError(shell)
    # Not the class's own: that asks this machine's bash for its version.
    script = ShellComplete.source(made_for(cli, {}, "otrsd", VARIABLE))
    click.echo(script)
    return 0
