"""``otrsd config``: what is in force, where each value stands, what a key means.

Values that stand outside the files and everything whose name says that it is a secret
are printed as ``***``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from otrsd.cli.output import print_facts, print_json, print_table, say
from otrsd.cli.site import Site
from otrsd.config.problem import HIDDEN, is_secret, without_passwords
from otrsd.errors import NotFoundError

if TYPE_CHECKING:
    from otrsd.config.yaml import Node

_DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value: its key, as it is written, ``file:line``."""

    key: str
    value: str
    origin: str


@click.group()
def config() -> None:
    """Show what is in force, where it stands, and what a key means."""


@config.command()
@click.option("--changed", is_flag=True, help="Leave the defaults out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def dump(site: Site, *, changed: bool, as_json: bool) -> int:
    """Print every value with the file and line where it stands; secrets as ***."""
    rows = [row for row in _rows(site) if not changed or row.origin != _DEFAULT]
    if as_json:
        print_json(rows)
    else:
        cells = ((row.key, row.value, row.origin) for row in rows)
        print_table(("key", "value", "where"), cells)
    return 0


@config.command()
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def get(site: Site, key: str, *, as_json: bool) -> int:
    """Print the value of KEY, or all values below it."""
    rows = _rows(site)
    found = [r for r in rows if r.key == key or r.key.startswith(f"{key}.")]
    if not found:
        raise NotFoundError(_unknown(key, [row.key for row in rows]))
    if as_json:
        print_json(found)
    elif [row.key for row in found] == [key]:
        say(found[0].value)
    else:
        cells = ((row.key, row.value, row.origin) for row in found)
        print_table(("key", "value", "where"), cells)
    return 0


@config.command("help")
@click.argument("key", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def help_(key: str, *, as_json: bool) -> int:
    """Tell what KEY means, as listen.smtp.port; without KEY the sections."""
    from otrsd.config.describe import find_key

    found = find_key(key)
    if found is None:
        raise NotFoundError(f"there is no key '{key}'. Try: otrsd config help")
    if as_json:
        print_json(found)
        return 0
    say(" ".join(f"{found.name}  {found.meaning}".split()))
    print_facts(
        (("default", found.default), ("keys", ", ".join(found.keys))), indent="  "
    )
    return 0


@config.command()
def schema() -> int:
    """Print the JSON Schema of the files: editors complete and check with it."""
    from otrsd.config.describe import json_schema

    print_json(json_schema())
    return 0


def _unknown(key: str, known: list[str]) -> str:
    from otrsd.config.problem import did_you_mean

    hint = did_you_mean(key, known)
    what = f"there is no key '{key}'"
    return f"{what}{f' - {hint}' if hint else '.'} Try: otrsd config dump"


def _rows(site: Site) -> list[Row]:
    """Return all values in the order of the sections; raise ConfigError."""
    from otrsd.config.describe import sections
    from otrsd.config.load import LocatedError, examine

    examined = examine(site.path, site.environ)
    if examined.config is None:
        raise LocatedError(examined.problems)
    rows = [
        row for name, node in examined.sections.items() for row in _written(name, node)
    ]
    known = {row.key for row in rows}
    rows += [
        Row(key=key, value=value, origin=_DEFAULT)
        for name in sections()
        for key, value in _defaults(name, getattr(examined.config, name))
        if not any(each == key or each.startswith(f"{key}.") for each in known)
    ]
    return rows


def _written(key: str, node: Node) -> Iterator[Row]:
    """Yield what stands in the files below ``key``."""
    name = key.rpartition(".")[2]
    if node.map and not any(each.startswith("$") for each in node.map):
        for each, inner in node.map.items():
            yield from _written(f"{key}.{each}", inner)
        return
    text = HIDDEN if is_secret(name) else _text(node)
    yield Row(key=key, value=text, origin=node.origin)


def _text(node: Node) -> str:
    if node.list is not None:
        return "[" + ", ".join(_text(each) for each in node.list) + "]"
    if node.map is not None:
        if any(each.startswith("$") for each in node.map):
            return HIDDEN
        pairs = (
            f"{each}: {HIDDEN if is_secret(each) else _text(inner)}"
            for each, inner in node.map.items()
        )
        return "{" + ", ".join(pairs) + "}"
    return without_passwords(node.text)


def _defaults(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield what holds although no file says so; secrets are no defaults."""
    from pydantic import BaseModel

    from otrsd.config.describe import keys_of, written

    if isinstance(value, BaseModel):
        fields = {f"{name}": field for name, field in keys_of(type(value)).items()}
        attributes = {id(f): n for n, f in type(value).model_fields.items()}
        for name, field in fields.items():
            inner = getattr(value, attributes[id(field)])
            yield from _defaults(f"{key}.{name}", inner)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, BaseModel):
                yield from _defaults(f"{key}.{name}", inner)
    else:
        hidden = is_secret(key) and value
        yield key, HIDDEN if hidden else written(value)
