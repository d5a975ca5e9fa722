"""The text of a note or an answer: ``-m TEXT``, else stdin, else an editor.

An editor is asked only on a terminal. What was written in it is never lost: if it
fails, or what the text was for fails, the text stays in a file that the error names.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from otrsd.cli.output import tell
from otrsd.errors import InputError
from otrsd.mime.visible import visible

#: What is below this line in the editor is for reading only.
SCISSORS = "--- everything below this line is left out ---"
#: Characters of a text; more is no answer but a mistake.
LONGEST = 1_000_000
#: Asked where neither $VISUAL nor $EDITOR names one.
_EDITOR = "vi"


class Declined(click.exceptions.Exit):
    """The text is empty: the person has thought better of it."""

    def __init__(self) -> None:
        tell("the text is empty: nothing was changed")
        super().__init__(1)


@contextmanager
def written(
    message: str | None, below: str, environ: Mapping[str, str], *, keep: bool = False
) -> Iterator[str]:
    """Give the text; whatever fails inside keeps one that came from an editor.

    ``below`` is shown in the editor, under the scissors; ``keep``: a dry run, the text
    is still wanted afterwards. Raises Declined for an empty
    text, InputError for one that is no text.
    """
    if message is not None:
        yield _sound(message, "-m")
    elif not sys.stdin.isatty():
        yield _sound(_stdin(), "stdin")
    else:
        path = _edited(below, environ)
        try:
            yield _sound(_above(path), "the editor")
        except click.exceptions.Exit:
            path.unlink()
            raise
        except BaseException:
            _tell_where(path)
            raise
        if keep:
            _tell_where(path)
        else:
            path.unlink()


def utf8(text: str, what: str) -> str:
    """Return an argument that is text; InputError for octets that are none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what} is not UTF-8; write it in UTF-8") from error
    return text


def _tell_where(path: Path) -> None:
    tell(f"your text is in {path}; it can be given on stdin: < {path}")


def _sound(text: str, what: str) -> str:
    if len(text) > LONGEST:
        raise InputError(
            f"the text from {what} has {len(text):,} characters; "
            f"at most {LONGEST:,} are a text"
        )
    if not text.strip():
        raise Declined
    return utf8(text, f"the text from {what}")


def _stdin() -> str:
    # One octet more than fits is enough to know that it is too long.
    octets = sys.stdin.buffer.read(4 * LONGEST + 1)
    try:
        return octets.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"the text on stdin is not UTF-8 (octet {error.start + 1}). "
            "Try: iconv -t UTF-8 FILE | otrsd …"
        ) from error


def _edited(below: str, environ: Mapping[str, str]) -> Path:
    """Let the person write; return the file, which holds what is above the scissors."""
    command = environ.get("VISUAL") or environ.get("EDITOR") or _EDITOR
    descriptor, name = tempfile.mkstemp(prefix="otrsd-", suffix=".txt")
    path = Path(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"\n\n{SCISSORS}\n{visible(below, keep=chr(10))}\n")
    try:
        code = subprocess.run([*shlex.split(command), name], check=False).returncode  # noqa: S603 - the person's own editor
        failure = f"ended with {code}" if code else ""
    except (OSError, ValueError) as error:
        failure = f"can't be run: {error}"
    except KeyboardInterrupt:
        failure = "was interrupted"
    path.write_text(_above(path), encoding="utf-8", errors="surrogateescape")
    if not failure:
        return path
    if _above(path).strip():
        rest = f"what you wrote is in {path}. Try: otrsd … < {path}"
    else:
        path.unlink()
        rest = "nothing was changed. Try: -m TEXT, or set EDITOR"
    raise InputError(f"the editor {command!r} {failure}; {rest}")


def _above(path: Path) -> str:
    """Return what a person wrote: the text above the scissors."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    return text.partition(SCISSORS)[0].strip("\n")
