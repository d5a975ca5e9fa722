"""The command ``otrsd``: finds the configuration, dispatches, and says errors plainly.

Nouns and verbs are loaded only when they are asked for, so that ``otrsd --help``
stays quick. Every error that otrsd raises on purpose ends as one line on stderr and
its exit code (ux.md §1.1); a traceback reaches a person only with ``OTRSD_DEBUG=1``.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otrsd.cli.site import Site
from otrsd.errors import ConfigError, OtrsdError, TemporaryError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Command → module of otrsd.cli and its name there, and what help says of it.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("init:init", "Make a site of your own in a folder."),
    "run": ("run:run", "Run the daemon."),
    "reload": ("reload:reload", "Let the daemon take the new configuration."),
    "pipe": ("pipe:pipe", "Take one mail from stdin; what an MTA calls."),
    "check": ("check:check", "Check the configuration, the rules and the plugins."),
    "status": ("status:status", "Show processes, spool, index and failing plugins."),
    "doctor": ("doctor:doctor", "Find what is wrong, and say what to do about it."),
    "explain": ("explain:explain", "Tell who decided what about a mail."),
    "rules": ("rules:rules", "List and test rules; try changed ones on past mail."),
    "mail": ("mail:mail", "Look at a mail as otrsd reads it."),
    "ticket": ("ticket:ticket", "List and show tickets."),
    "search": ("search:search", "Search tickets by words and fields."),
    "reindex": ("search:reindex", "Rebuild the full-text index beside the live one."),
    "spool": ("spool:spool", "Look at mails that wait or are held."),
    "address": ("address:address", "Look at addresses whose mail comes back."),
    "trash": ("trash:trash", "Look at, restore or purge discarded mails."),
    "plugins": ("plugins:plugins", "List, check and write plugins."),
    "config": ("config:config", "Show what is in force, and what a key means."),
    "backup": ("backup:backup", "Write everything into one file, while it runs."),
    "restore": ("restore:restore", "Bring a backup back, or prove it."),
    "db": ("db:db", "Look at and upgrade the database's schema."),
    "completion": ("completion:completion", "Print what a shell completes with."),
    "man": ("man:man", "Print the manual page."),
}
#: Set: errors show where they were raised.
_DEBUG = "OTRSD_DEBUG"
#: Exit code of a run that a person interrupted (SIGINT).
INTERRUPTED = 130


class LazyGroup(click.Group):
    """Loads a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        _ = ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load and return one command."""
        _ = ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"otrsd.cli.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{name} is no command")
        return command

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Return the commands that begin so, without loading them."""
        from click.shell_completion import CompletionItem

        named = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # Past the group's own words, which would load every command.
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; whoever has read enough of its output is no failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What is left in the buffer has to go somewhere when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands without loading them."""
        _ = ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    metavar="PATH",
    type=click.Path(),
    help="otrsd.yaml to use; else $OTRSD_CONFIG, ./otrsd.yaml, /etc/otrsd/otrsd.yaml.",
)
@click.version_option(package_name="otrsd", prog_name="otrsd")
@click.pass_context
def cli(ctx: click.Context, config: str | None) -> None:
    """Turn mail into tickets and lose none."""
    ctx.obj = Site(Path(config) if config else None, os.environ)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    _stand_in()
    if not sys.warnoptions:
        # What a library's source looks like is no news for whoever runs a command.
        warnings.simplefilter("ignore", SyntaxWarning)
    try:
        code = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="otrsd",
            standalone_mode=False,
        )
    except click.exceptions.Exit as end:
        return end.exit_code
    # Nobody who runs a command is helped by a traceback; it is there when asked for.
    except Exception as error:  # noqa: BLE001 - see the comment above
        return _failed(error)
    return code if isinstance(code, int) else 0


def _stand_in() -> None:
    """Fill closed standard streams: no file of ours may get the number of one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003


def _failed(error: Exception) -> int:
    """Say what went wrong, on stdout if need be; return the exit code."""
    if sys.stderr is None:
        sys.stderr = sys.stdout
    if isinstance(error, click.Abort):
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if os.environ.get(_DEBUG):
        raise error
    if isinstance(error, OtrsdError):
        return _tell(error)
    return _refused(error) if isinstance(error, OSError) else _own_fault(error)


def _tell(error: OtrsdError) -> int:
    """Say what, where, why, and what to do next."""
    from otrsd.mime.visible import visible

    click.echo(visible(f"otrsd: {error}", keep="\n"), err=True)
    if isinstance(error, TemporaryError):
        click.echo("otrsd: this can pass by itself; try again in a moment", err=True)
    elif isinstance(error, ConfigError) and hasattr(error, "problems"):
        click.echo("otrsd: nothing was done. Try: otrsd check", err=True)
    return error.exit_code


def _refused(error: OSError) -> int:
    """Say what the system would not do: most often it could not write."""
    from otrsd.mime.visible import visible

    where = visible(f"{error.filename}: " if error.filename else "")
    click.echo(f"otrsd: {where}the system says: {error.strerror or error}", err=True)
    hint = "df -h, and look where the output goes"
    if isinstance(error, PermissionError) and where:
        hint = f"namei -l {shlex.quote(visible(str(error.filename)))}"
    click.echo(f"otrsd: try: {hint}", err=True)
    return 1


def _own_fault(error: Exception) -> int:
    from otrsd.implementations import described

    click.echo(f"otrsd: an error of otrsd itself: {described(error)}", err=True)
    click.echo(
        f"otrsd: please report it with what this prints: {_DEBUG}=1 otrsd …", err=True
    )
    return 1
