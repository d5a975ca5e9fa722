"""``otrsd mail``: what otrsd reads in a mail, for people. Needs no site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otrsd.cli.output import octets_text, print_facts, print_json, say
from otrsd.errors import InputError

if TYPE_CHECKING:
    from otrsd.model.mail import Mail, Part

#: Header fields that are shown unless all are asked for.
_SHOWN = ("from", "sender", "reply-to", "to", "cc", "date", "message-id", "in-reply-to")


@click.group()
def mail() -> None:
    """Look at a mail as otrsd reads it."""


@mail.command()
@click.argument("file", metavar="FILE|-")
@click.option("--headers", is_flag=True, help="Show every header field.")
@click.option(
    "--part", "path", metavar="PATH", help="Write one part's octets, decoded."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(file: str, *, headers: bool, path: str | None, as_json: bool) -> None:
    """Show header, text, parts and defects of a mail in a file, or on stdin."""
    content = _content(file)
    if path:
        from otrsd.mime.parts import read_part

        for chunk in read_part(content, path):
            click.echo(chunk, nl=False)
    elif as_json:
        from otrsd.mime.report import report

        print_json({"file": file} | report(content))
    else:
        _show(content, headers=headers)


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: the file can't be read: {error.strerror}. "
            f"Try: otrsd mail show - < {file}"
        ) from error


def _show(content: bytes, *, headers: bool) -> None:
    from otrsd.mime.parse import parse

    mail = parse(content)
    print_facts((*_header(mail, full=headers), ("size", octets_text(mail.size))))
    if mail.text.strip():
        click.echo()
        say(mail.text.strip("\n"))
    _show_parts(mail.parts)
    wrong = (*mail.defects, *filter(None, [mail.hostile]))
    if wrong:
        click.echo("\ndefects:")
        for defect in wrong:
            say(f"  {defect}")


def _header(mail: Mail, *, full: bool) -> list[tuple[str, object]]:
    if full:
        return [(field.name, field.value) for field in mail.headers]
    facts: list[tuple[str, object]] = [("subject", mail.subject)]
    facts += [(name, mail.header(name) or "") for name in _SHOWN]
    if mail.from_text and mail.author is None:
        facts.append(("author", "not certain: From gives no identity"))
    return facts


def _show_parts(parts: tuple[Part, ...]) -> None:
    if len(parts) < 2 and not any(part.is_attachment for part in parts):  # noqa: PLR2004 - more than its text
        return
    click.echo("\nparts:")
    width = max(len(part.path) for part in parts)
    for part in parts:
        name = part.declared or part.filename
        told = [part.content_type, octets_text(part.size), name]
        if part.filename != part.declared and part.declared:
            told.append(f"(saved as {part.filename or 'a file without a name'})")
        if part.content_id:
            told.append(f"cid:{part.content_id}")
        if not part.is_attachment:
            told.append("(text)")
        say(f"  {part.path:<{width}}  {'  '.join(filter(None, told))}")
