"""Values that stand outside the files: ``{$env: NAME}``, ``{$file: path}``.

``{$credential: NAME}`` is a file of ``$CREDENTIALS_DIRECTORY``, which systemd fills
(LoadCredential=, systemd.exec(5)); where there is none, of ``credentials/`` beside
``otrsd.yaml``.

In: a located tree. Out: the same tree with each such map replaced by its text. The
text never stands in a message, in ``Config.files`` or in the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node

_FORMS = ("$env", "$file", "$credential")
#: A secret is a line, not a document.
_MAX_OCTETS = 64 * 1024


def resolve(
    node: Node, environ: Mapping[str, str], root: Path, problems: list[Problem]
) -> Node:
    """Return ``node`` with every reference in it replaced by its text."""
    if node.list is not None:
        items = tuple(resolve(item, environ, root, problems) for item in node.list)
        return replace(node, value=items)
    if node.map is None:
        return node
    form = next((name for name in node.map if name.startswith("$")), None)
    if form is not None:
        return _outside(node, form, environ, root, problems)
    members = {
        name: resolve(item, environ, root, problems) for name, item in node.map.items()
    }
    return replace(node, value=members)


def _outside(
    node: Node,
    form: str,
    environ: Mapping[str, str],
    root: Path,
    problems: list[Problem],
) -> Node:
    members = node.map or {}
    value: object = ""
    if form not in _FORMS or len(members) > 1:
        problems.append(
            node.keys[form].problem(
                f"'{form}' is no way to name a secret"
                if form not in _FORMS
                else f"'{form}' stands alone in its map",
                did_you_mean(form, _FORMS)
                or "write {$env: NAME}, {$file: path} or {$credential: NAME}",
            )
        )
    elif not isinstance(members[form].value, str):
        problems.append(members[form].problem(f"'{form}' wants a name"))
    elif form == "$env":
        value = _from_environ(members[form], environ, problems)
    elif form == "$file":
        value = _from_file(members[form], root / members[form].text, root, problems)
    else:
        value = _from_credential(members[form], environ, root, problems)
    # The text member stays empty: it is what messages print.
    return replace(node, value=str(value), keys={}, text="***", style="secret")


def _from_environ(
    node: Node, environ: Mapping[str, str], problems: list[Problem]
) -> str:
    if node.text not in environ:
        problems.append(
            node.problem(
                f"environment variable '{node.text}' is not set",
                "set it where the daemon is started",
            )
        )
    return environ.get(node.text, "")


def _from_credential(
    node: Node, environ: Mapping[str, str], root: Path, problems: list[Problem]
) -> str:
    name = node.text
    if "/" in name or name in {".", ".."}:
        problems.append(node.problem("'$credential' wants a name, not a path"))
        return ""
    loaded = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(loaded, name) if loaded else None
    if path is None or not path.is_file():
        path = root / "credentials" / name
    return _from_file(node, path, root, problems)


def _from_file(node: Node, path: Path, root: Path, problems: list[Problem]) -> str:
    name = path.relative_to(root) if path.is_relative_to(root) else path
    text = ""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_OCTETS).decode().strip("\r\n")
    except OSError as error:
        why, hint = f"can't read the secret {name}: {error.strerror}", "put it there"
        if isinstance(error, PermissionError):
            hint = "give it to the daemon's user"
    except ValueError:
        why, hint = f"the secret {name} is not UTF-8 text", ""
    else:
        why, hint = "" if text else f"the secret {name} is empty", "put it there"
    if why:
        problems.append(node.problem(why, hint))
    return text
