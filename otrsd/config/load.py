"""``otrsd.yaml`` and its drop-ins → one :class:`Config`, or all problems at once.

Order: ``otrsd.yaml``, then the files of ``include`` (``config/*.yaml``) by name.
Sections are merged name by name; the same name twice is an error with both places.
Nothing is guessed: unknown keys, unknown queues and values of the wrong kind are
errors. Reading has no side effects, so a broken file leaves a daemon as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from otrsd.config.cross import check_cross
from otrsd.config.fit import fit
from otrsd.config.models import Config, Plugins, Queue, Site
from otrsd.config.problem import LocatedError, Problem, Severity, Source, did_you_mean
from otrsd.config.redact import redacted
from otrsd.config.secrets import resolve
from otrsd.config.yaml import Document, Node, read

__all__ = [
    "Examined",
    "LocatedError",
    "Problem",
    "Recalled",
    "Severity",
    "Source",
    "examine",
    "fit",
    "load",
    "recall",
]

_INCLUDE = "config/*.yaml"
#: Sections of named things: merged by name; the number is the depth of the names.
SECTIONS: Mapping[str, int] = {
    "site": 1,
    "listen": 1,
    "send": 1,
    "fetch": 1,
    "queues": 1,
    "templates": 1,
    "rules": 1,
    "plugins": 2,
    "crypto": 1,
    "trash": 1,
    "spool": 1,
    "workers": 0,
}
#: Sections in which a value may stand outside the files.
_WITH_SECRETS = ("site", "send", "fetch", "plugins")
#: The queue of a site that defines none.
_BUILT_IN = "support"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of looking at the files."""

    #: ``None`` where a problem is an error.
    config: Config | None
    problems: tuple[Problem, ...]
    #: Every file that could be read, in order.
    sources: tuple[Source, ...] = ()
    #: The sections of all files together, each value with its place; what stands
    #: outside the files is not in it, only where it stands.
    sections: Mapping[str, Node] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """The rules of a past configuration, to be compiled again."""

    rules: Mapping[str, Node]
    queues: tuple[str, ...]


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration of ``path``; raise ConfigError with all problems."""
    examined = examine(path, environ)
    if examined.config is None:
        raise LocatedError(
            [p for p in examined.problems if p.severity is Severity.ERROR]
        )
    return examined.config


def examine(path: Path, environ: Mapping[str, str]) -> Examined:
    """Read and check everything that ``path`` includes; never raise for content."""
    path = path.absolute()
    root = path.parent
    problems: list[Problem] = []
    documents: list[Document] = []
    first = _read(path, root, problems)
    if first is not None:
        documents.append(first)
        files = [f for f in _included(first.root, root, problems) if f != path]
        more = [_read(file, root, problems) for file in files]
        documents.extend(document for document in more if document is not None)
    sources = tuple(document.root.source for document in documents)
    for document in documents:
        problems.extend(document.problems)
    config = None
    merged: dict[str, Node] = {}
    if first is not None:
        merged = _merge(documents, problems)
        config = _build(dict(merged), sources, root, environ, problems)
    if any(problem.severity is Severity.ERROR for problem in problems):
        config = None
    return Examined(
        config=config,
        problems=_sorted(problems, sources),
        sources=sources,
        sections=merged,
    )


def _sorted(
    problems: list[Problem], sources: tuple[Source, ...]
) -> tuple[Problem, ...]:
    """Return the problems by place, and of each place only the first."""
    first: dict[tuple[int, int, int, str], Problem] = {}
    for problem in problems:
        order = _order(sources, problem.file)
        place = "" if problem.line else problem.render()
        first.setdefault((order, problem.line, problem.column, place), problem)
    return tuple(first[key] for key in sorted(first))


def recall(snapshot: str) -> Recalled:
    """Return what rules need of a stored :meth:`Config.snapshot_text`.

    Nothing outside the text is read, so a past decision can be explained although
    secrets and files have gone. The text was checked when it was stored.
    """
    problems: list[Problem] = []
    documents = [
        read(Source(name=name, text=text))
        for name, text in json.loads(snapshot).items()
    ]
    sections = _merge(documents, problems)
    queues = _named(sections.get("queues"), "queues", problems)
    rules = _named(sections.get("rules"), "rules", problems)
    return Recalled(rules=rules, queues=tuple(queues) or (_BUILT_IN,))


def _order(sources: tuple[Source, ...], file: str) -> int:
    names = [source.name for source in sources]
    return names.index(file) if file in names else len(names)


def _read(path: Path, root: Path, problems: list[Problem]) -> Document | None:
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    try:
        # utf-8-sig: an editor's byte order mark is no part of the text.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problems.append(
            Problem(
                file=name,
                text="there is no such file",
                suggestion="take the link away, or mend it"
                if path.is_symlink()
                else "name it with -c PATH, or make one with 'otrsd init'",
            )
        )
    except OSError as error:
        kept_out = isinstance(error, PermissionError)
        problems.append(
            Problem(
                file=name,
                text=f"can't be read: {error.strerror}",
                suggestion="let the daemon's group read it" if kept_out else "",
            )
        )
    except UnicodeDecodeError as error:
        text = f"octet {error.start + 1} of the file is not UTF-8"
        problems.append(Problem(file=name, text=text, suggestion="save it as UTF-8"))
    else:
        return read(Source(name=name, text=text))
    return None


def _included(top: Node, root: Path, problems: list[Problem]) -> list[Path]:
    """Return the drop-ins that ``include`` names, each once, in order."""
    node = (top.map or {}).get("include")
    if node is None:
        return _matching(root, _INCLUDE, problems)
    files: dict[Path, None] = {}
    for item in node.list if node.list is not None else (node,):
        if not isinstance(item.value, str) or not item.value:
            problems.append(item.problem("'include' wants names of files"))
            continue
        found = _matching(root, item.value, problems)
        if not found and not set("*?[") & set(item.value):
            problems.append(item.problem(f"there is no file '{item.value}'"))
        files.update(dict.fromkeys(found))
    return list(files)


def _matching(root: Path, pattern: str, problems: list[Problem]) -> list[Path]:
    path = Path(pattern)
    base = Path(path.anchor) if path.is_absolute() else root
    relative = path.relative_to(path.anchor) if path.is_absolute() else path
    plain = takewhile(lambda part: not set("*?[") & set(part), relative.parts[:-1])
    folder = base.joinpath(*plain)
    if reason := _kept_out(folder):
        name = folder.relative_to(root) if root in folder.parents else folder
        problems.append(
            Problem(
                file=str(name),
                text=f"can't be read: {reason}",
                suggestion="make it a folder that the daemon's group can read",
            )
        )
        return []
    # A link to nothing is no absent file: whoever made it wants it to be read.
    found = (f for f in base.glob(str(relative)) if f.is_file() or f.is_symlink())
    return sorted(file for file in found if not file.name.startswith("."))


def _kept_out(folder: Path) -> str:
    """Return why a folder that is there can't be read; ``glob`` would find it empty."""
    try:
        with os.scandir(folder):
            os.stat(f"{folder}/.")  # noqa: PTH116 - Path would take the dot away
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _merge(documents: list[Document], problems: list[Problem]) -> dict[str, Node]:
    """Bring the sections of all files together."""
    merged: dict[str, Node] = {}
    for document in documents:
        top = document.root
        if top.map is None:
            problems.append(top.problem("a file is a map of sections (name: value)"))
            continue
        for name, node in top.map.items():
            if name == "include" and document is documents[0]:
                continue
            key = top.keys[name]
            if name not in SECTIONS:
                problems.append(_unknown_section(key))
            elif name in merged:
                depth = SECTIONS[name]
                merged[name] = _join(merged[name], node, key, depth, problems)
            elif node.value is not None:
                merged[name] = node
    return merged


def _unknown_section(key: Node) -> Problem:
    if key.text == "include":
        return key.problem("'include' stands in otrsd.yaml only")
    hint = did_you_mean(key.text, [*SECTIONS, "include"])
    return key.problem(f"unknown section '{key.text}'", hint)


def _join(one: Node, two: Node, key: Node, depth: int, problems: list[Problem]) -> Node:
    """Join two maps; below ``depth`` the same name twice is an error."""
    if two.value is None:
        return one
    if depth == 0:
        problems.append(
            key.problem(f"'{key.text}' stands twice (first in {one.origin})")
        )
        return one
    if one.map is None or two.map is None:
        # fit() says what is wrong with the one that is no map.
        return two if one.map is not None else one
    values, keys = dict(one.map), dict(one.keys)
    for name, node in two.map.items():
        if name in values:
            values[name] = _join(
                replace(values[name], line=keys[name].line),
                node,
                two.keys[name],
                depth - 1,
                problems,
            )
        else:
            values[name], keys[name] = node, two.keys[name]
    return replace(one, value=values, keys=keys)


def _build(
    sections: dict[str, Node],
    sources: tuple[Source, ...],
    root: Path,
    environ: Mapping[str, str],
    problems: list[Problem],
) -> Config | None:
    for name in _WITH_SECRETS:
        if name in sections:
            sections[name] = resolve(sections[name], environ, root, problems)
    rules = _named(sections.pop("rules", None), "rules", problems)
    templates = _named(sections.pop("templates", None), "templates", problems)
    plugins = sections.get("plugins")
    settings = _member(plugins, "settings")
    disabled = (plugins.map or {}).get("disable") if plugins is not None else None
    files = {source.name: redacted(source) for source in sources}
    whole = Node(value=sections, keys=sections, source=sources[0], line=1, column=1)
    state = environ.get("OTRSD_STATE")
    ready = {
        "rules": rules,
        "templates": templates,
        "root": root,
        "state": Path(state).absolute() if state else root / "var",
        "files": files,
    }
    config, found = fit(Config, whole, "", ready=ready)
    problems.extend(found)
    if config is None:
        return None
    config = _complete(config, settings, disabled).model_copy(
        update={
            "queue_nodes": (sections["queues"].map if "queues" in sections else {})
            or {}
        }
    )
    problems.extend(check_cross(config, sections))
    return config


def _complete(
    config: Config, settings: Mapping[str, Node], disabled: Node | None
) -> Config:
    """Fill in what depends on other members."""
    queues = config.queues or {_BUILT_IN: Queue()}
    default = _BUILT_IN if _BUILT_IN in queues else next(iter(queues))
    site: Site = config.site.model_copy(
        update={"default_queue": config.site.default_queue or default}
    )
    plugins: Plugins = config.plugins.model_copy(
        update={"nodes": settings, "disabled": disabled}
    )
    snapshot = hashlib.sha256(config.snapshot_text().encode()).hexdigest()
    return config.model_copy(
        update={
            "queues": queues,
            "site": site,
            "plugins": plugins,
            "snapshot": snapshot,
        }
    )


def _named(node: Node | None, what: str, problems: list[Problem]) -> dict[str, Node]:
    """Return a section's values; each stands where its name does."""
    if node is None or node.value is None:
        return {}
    if node.map is None:
        problems.append(node.problem(f"'{what}' wants a map (name: value)"))
        return {}
    return {name: value.named_by(node.keys[name]) for name, value in node.map.items()}


def _member(node: Node | None, name: str) -> Mapping[str, Node]:
    """Return a map inside ``node``, each value placed where its name stands.

    fit() speaks about one that is no map.
    """
    inner = (node.map or {}).get(name) if node is not None else None
    if inner is None or inner.map is None:
        return {}
    return {key: value.named_by(inner.keys[key]) for key, value in inner.map.items()}
