"""``otrsd man``: the manual page of all commands, as roff (man(7)).

In: the commands as click knows them. Out: one page, the same on every machine; the
copy that ships is ``docs/otrsd.1``, and a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import click

_HEAD = """\
.\\" Made by `otrsd man`; do not edit.
.TH OTRSD 1 "" "otrsd {version}" "otrsd"
.SH NAME
otrsd \\- turn mail into tickets and lose none
.SH SYNOPSIS
.B otrsd
.RI [ OPTIONS ]
.I COMMAND
.RI [ ARGUMENTS ]
.SH DESCRIPTION
A daemon that takes mail by SMTP, LMTP or a pipe and makes tickets of it, and the
commands to run it and to work with its tickets. Mail is acknowledged after it is on
the disk. Every command has \\-\\-help.
.SH OPTIONS
"""
_TAIL = """\
.SH EXIT STATUS
{codes}.SH ENVIRONMENT
{environment}.SH FILES
.TP
.I otrsd.yaml
The site: its name, its ways in and out. Without \\-c and $OTRSD_CONFIG it is looked for
in the current folder, then in /etc/otrsd.
.TP
.I config/*.yaml
Queues, rules and settings of plugins.
.TP
.I plugins/
The site's own plugins.
.TP
.I var/
The state: spool, tickets, index, keys.
.SH SEE ALSO
.BR postfix (1),
.BR systemd.service (5)
"""
#: ux.md's table; docs/cli.md says more.
_CODES = {
    0: "Done; also: nothing to do, nothing found.",
    1: "Failed, or findings, or the person said no.",
    2: "Wrong usage.",
    3: "There is no such ticket, queue, state or mail.",
    4: "Not allowed.",
    5: "Some of several items failed; the rest is done.",
    6: "In somebody else's hands, or changed by somebody else.",
    75: "Try again later.",
    78: "The database's schema does not fit.",
    130: "Interrupted.",
}
_ENVIRONMENT = {
    "OTRSD_CONFIG": "The otrsd.yaml, or its folder, where no \\-c names one.",
    "OTRSD_STATE": "The state folder, in the place of var/ beside otrsd.yaml.",
    "OTRSD_LOG": "json makes the daemon's log JSON Lines.",
    "OTRSD_LOG_LEVEL": "debug, info, warning, error or critical.",
    "OTRSD_DEBUG": "Set, an error shows where it was raised.",
    "NO_COLOR": "Set, nothing is coloured.",
}


@click.command()
def man() -> int:
    """Print the manual page: otrsd man | man -l -."""
    from importlib.metadata import version

    from otrsd.cli.main import cli

    click.echo(page(cli, version("otrsd")), nl=False)
    return 0


def page(top: click.Group, version: str) -> str:
    """Return the manual page of ``top`` and all that is below it."""
    said = [_HEAD.format(version=version), *_options(top, click.Context(top))]
    said.append(".SH COMMANDS\n")
    for path, command, context in _commands(top):
        said += [".SS ", _roff(" ".join(path)), "\n", *_usage(path, command, context)]
        said += [_paragraphs(command.help or ""), *_options(command, context)]
    codes = "".join(_entry(f".B {code}", _roff(text)) for code, text in _CODES.items())
    named = "".join(_entry(f".B {name}", text) for name, text in _ENVIRONMENT.items())
    said.append(_TAIL.format(codes=codes, environment=named))
    return "".join(said)


def _commands(
    top: click.Group, path: Sequence[str] = ("otrsd",)
) -> Iterator[tuple[Sequence[str], click.Command, click.Context]]:
    """Yield every command that does something, as a table of contents has them."""
    context = click.Context(top)
    for name in top.list_commands(context):
        command = top.get_command(context, name)
        if command is None or command.hidden:
            continue
        here = (*path, name)
        if isinstance(command, click.Group):
            yield from _commands(command, here)
        else:
            yield here, command, click.Context(command, info_name=name)


def _usage(
    path: Sequence[str], command: click.Command, context: click.Context
) -> Iterator[str]:
    words = [_roff(each) for each in command.collect_usage_pieces(context)]
    yield f".B {_roff(' '.join(path))}\n"
    yield f".I {' '.join(words)}\n.PP\n" if words else ".PP\n"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            yield _entry(f".B {_roff(record[0])}", _roff(record[1]))


def _entry(name: str, text: str) -> str:
    return f".TP\n{name}\n{text}\n"


def _paragraphs(text: str) -> str:
    """Return a help text; each of its paragraphs is filled anew."""
    parts = re.split(r"\n\s*\n", text.replace("\b\n", "").strip())
    return "".join(f"{_roff(' '.join(part.split()))}\n.PP\n" for part in parts if part)


def _roff(text: str) -> str:
    """Return text as roff shows it: no letter of it commands (groff_char(7))."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = text.replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti").replace("…", "\\&...").replace("\n", " ")
    return f"\\&{text}" if text.startswith(".") else text
