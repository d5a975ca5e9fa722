"""Whether an alias that pipes mail to us can do so: an MTA runs it as ``nobody``.

In: the files that hold aliases, as the MTA's settings name them. Out: the first thing
that nobody can't reach: the command, its Python, the library, the site's state folder.
Only modes are looked at; nothing is run.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from otrsd.cli.mta import setting
from otrsd.daemon.checks import Check, Level

#: The quoted command of an alias, as aliases(5) writes it.
_PIPED = re.compile(r'"\s*\|\s*((?:[^"\\]|\\.)*)"|(?<![\w"])\|\s*(\S+)')
_RUN = stat.S_IROTH | stat.S_IXOTH


def check_alias(state: Path, root: Path = Path("/")) -> Check | None:
    """Return what is found; ``None`` where no alias pipes to us as nobody."""
    commands = list(dict.fromkeys(_commands(root)))
    runs_as = setting(root / "etc/postfix/main.cf", "default_privs") or "nobody"
    if not commands or runs_as != "nobody":
        return None
    for command in commands:
        for path, bits in _needed(command, state):
            closed = _closed(path, bits)
            if closed is not None:
                return _bad(command, closed)
    return Check(name="alias", text=f"nobody can run {commands[0]}")


def _bad(command: Path, closed: Path) -> Check:
    if not os.path.lexists(closed):
        text, remedy = f"{closed} is not there", "newaliases, with the right command"
    else:
        text = f"the user nobody is kept out by {closed}"
        remedy = (
            f"chmod o+rx {closed}, or a virtual environment elsewhere (/opt), "
            "or LMTP: docs/howto/postfix.md"
        )
    return Check(
        name="alias",
        level=Level.CRITICAL,
        text=f"an alias runs {command}, but {text}",
        remedy=remedy,
    )


def _commands(root: Path) -> Iterator[Path]:
    """Yield the programs that aliases run as ``otrsd pipe``."""
    for path in _files(root):
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        for line in text.splitlines():
            found = None if line.startswith("#") else _PIPED.search(line)
            words = _words(found[1] or found[2] or "") if found else []
            if words[1:2] == ["pipe"] and Path(words[0]).name == "otrsd":
                yield root / words[0].lstrip("/")


def _files(root: Path) -> Iterator[Path]:
    """Yield /etc/aliases and what main.cf names in its place."""
    yield root / "etc/aliases"
    for path in re.findall(
        r"\w+:(/[^\s,]+)", setting(root / "etc/postfix/main.cf", "alias_maps")
    ):
        yield root / path.lstrip("/")


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _needed(command: Path, state: Path) -> Iterator[tuple[Path, int]]:
    """Yield what nobody has to reach, and what he has to be allowed there."""
    yield command, _RUN
    python = _interpreter(command)
    if python is not None:
        yield python, stat.S_IXOTH
        if python == Path(sys.executable):
            # Ours: then its library and our own package are known, too.
            yield Path(sys.executable).resolve(), stat.S_IXOTH
            yield Path(stat.__file__), stat.S_IROTH
            package = Path(__file__).resolve().parents[1] / "pipe" / "__init__.py"
            yield package, stat.S_IROTH
    yield state / "pipe.json", stat.S_IROTH


def _interpreter(command: Path) -> Path | None:
    """Return the Python that the command's first line names."""
    try:
        with command.open("rb") as file:
            first = file.readline(1000).decode("utf-8", "replace").strip()
    except OSError:
        return None
    return Path(first[2:].split()[0]) if first.startswith("#!/") else None


def _closed(path: Path, bits: int) -> Path | None:
    """Return what keeps others out on the way to ``path``; ``None``: nothing does."""
    # By its name, then where its links lead to.
    for place in (path, Path(os.path.realpath(path))):
        for folder in reversed(place.parents):
            if not _allows(folder, stat.S_IXOTH):
                return folder
    return None if _allows(path, bits) else path


def _allows(path: Path, bits: int) -> bool:
    try:
        return path.stat().st_mode & bits == bits
    except OSError:
        # We can't look at it either, or it is not there.
        return False
