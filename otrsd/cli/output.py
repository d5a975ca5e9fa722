"""How commands print: tables for people, TSV for pipes, JSON when asked.

Whatever comes from a mail is made visible first: control characters, escape
sequences and bidi overrides never reach a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import click

from otrsd.mime.visible import visible


def print_json(value: object) -> None:
    """Print one JSON value on one line; times as RFC 3339, in UTC."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def print_table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows: aligned under a heading on a terminal, else TSV without one."""
    texts = [[_cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in texts:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in heading:
        table.add_column(name, overflow="fold")
    for row in texts:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def say(text: str) -> None:
    """Print text that may come from a mail; line ends are kept."""
    click.echo(visible(text, keep="\n\t"))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list | tuple | set | frozenset):
        return visible(", ".join(str(each) for each in value))
    return visible(str(value))


def _plain(value: Any) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
