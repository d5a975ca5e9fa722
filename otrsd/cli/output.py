"""How commands print: tables for people, TSV for pipes, JSON when asked.

Whatever comes from a mail is made visible first: control characters, escape
sequences and bidi overrides never reach a terminal. Times are printed in the site's
time zone, in JSON in UTC.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum
from pathlib import Path
from typing import Any

import click

from otrsd.mime.visible import visible

_KILO = 1000
#: Columns that are never broken: what a next command wants to be given.
_WHOLE = frozenset(("number", "id", "name", "seq", "prio"))
#: A broken column is at least so wide; so much room is between two.
_NARROWEST = 8
_GAP = 2
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def print_json(value: object) -> None:
    """Print one JSON value on one line; times as RFC 3339, in UTC."""
    click.echo(_harmless(json.dumps(value, ensure_ascii=False, default=_plain)))


def print_table(
    heading: Sequence[str], rows: Iterable[Sequence[object]], zone: tzinfo = UTC
) -> None:
    """Print rows: aligned under a heading on a terminal, else TSV without one."""
    texts = [[_cell(value, zone) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in texts:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    least = 0
    for position, name in enumerate(heading):
        whole = name in _WHOLE
        table.add_column(name, overflow="fold", no_wrap=whole)
        widest = max(map(len, (name, *(row[position] for row in texts))))
        least += _GAP + (widest if whole else min(widest, _NARROWEST))
    for row in texts:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    # A terminal that is too narrow breaks the lines itself, and every name stays
    # whole enough to be copied.
    console.width = max(console.width, least)
    console.print(table)


def print_facts(
    facts: Iterable[tuple[str, object]], zone: tzinfo = UTC, *, indent: str = ""
) -> None:
    """Print names and values, one a line; what is empty is left out."""
    shown = [(name, _cell(value, zone)) for name, value in facts]
    shown = [(name, text) for name, text in shown if text]
    width = max((len(name) for name, _ in shown), default=0)
    for name, text in shown:
        click.echo(f"{indent}{name:<{width}}  {text}")


def say(text: str) -> None:
    """Print text that may come from a mail; line ends are kept."""
    click.echo(visible(text, keep="\n\t"))


def tell(text: str) -> None:
    """Say something beside the result, on stderr."""
    click.echo(visible(f"otrsd: {text}", keep="\n"), err=True)


def print_octets(octets: bytes) -> None:
    """Print a mail as it is; on a terminal with everything dangerous made visible."""
    if sys.stdout.isatty():
        text = octets.decode("utf-8", "backslashreplace")
        say(text.replace("\r\n", "\n"))
        return
    click.echo(octets, nl=False)


def moment(at: datetime, zone: tzinfo) -> str:
    """Return a time as people read it, in the site's zone."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def octets_text(count: int) -> str:
    """Return a size as people read it: ``2.1 kB``."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < _KILO:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KILO
    return f"{size:.1f} GB"


def span(seconds: float) -> str:
    """Return a length of time as people read it: ``42 s``, ``3 min``, ``2 h``."""
    for limit, size, unit in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "min")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} d"


def counted(number: int, one: str, many: str = "") -> str:
    """Return ``1 error`` or ``3 errors``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _cell(value: object, zone: tzinfo) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment(value, zone)
    if isinstance(value, list | tuple | set | frozenset):
        return visible(", ".join(str(each) for each in value))
    return visible(str(value))


def _harmless(text: str) -> str:
    """Escape, as JSON does, what would steer a terminal or can't be encoded."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if visible(c) == c else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    escaped = json.dumps(character)[1:-1]
    # JSON itself leaves DEL alone.
    return escaped if escaped != character else f"\\u{ord(character):04x}"


def _plain(value: Any) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
