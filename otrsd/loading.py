"""Find a site's plugins, load each one alone, and say what is wrong with it.

In: the configuration, and the folder of the plugins we ship. Out: :class:`Loaded`:
the plugins that can be used, in call order (the site's files by name, installed
packages by name, shipped ones by name), and every problem with file and line. A
plugin with an error is left out; nothing raises. A site's file replaces a shipped
plugin of the same name. Modules get a private name and ``sys.path`` stays as it is:
neither the current folder nor a plugin can stand in for a module of ours.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from otrsd.config.fit import fit
from otrsd.config.models import Config
from otrsd.config.problem import Problem, Severity, Source, did_you_mean
from otrsd.config.settings import Settings
from otrsd.config.yaml import Node, read
from otrsd.hookspecs import PROJECT
from otrsd.implementations import (
    described,
    hooks_of,
    problem_in,
    problems_of,
    raised_at,
)

#: What can be a plugin's name: it stands in traces, YAML keys and file names.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Words that a trace uses for our own deeds.
_RESERVED = frozenset({"otrsd", "core", "mail", "rule", "rules", "plugins", "cli"})


def is_plugin_name(name: str) -> bool:
    """Tell whether a file of this name can be a plugin."""
    return _NAME.fullmatch(name) is not None and name not in _RESERVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin, ready to be called."""

    name: str
    #: The module, or the object made of its class ``Plugin``.
    instance: object = field(repr=False)
    #: File or folder; for an installed package its name.
    source: str
    #: ``site``, ``package`` or ``shipped``.
    origin: str
    #: Version of the package; else ``__version__`` of the file or start of its hash.
    version: str
    #: The hooks it implements, sorted.
    hooks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A plugin that can't be used."""

    name: str
    source: str
    origin: str
    #: The first of its errors.
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What can be called, and what is wrong with the rest."""

    plugins: tuple[Plugin, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A plugin that was found but not yet run."""

    name: str
    origin: str
    #: File, folder, or the name of the package.
    path: Path
    entry_point: EntryPoint | None = None


def load_plugins(
    config: Config,
    *,
    shipped: Path | None,
    packages: Iterable[EntryPoint] | None = None,
) -> Loaded:
    """Load the plugins of ``config``'s site, installed ones and ``shipped`` ones."""
    installed = entry_points(group=PROJECT) if packages is None else packages
    problems: list[Problem] = []
    candidates = _distinct(
        (
            *_in_folder(config.root / "plugins", "site", problems),
            *_in_packages(installed),
            *_in_folder(shipped, "shipped", problems),
        ),
        problems,
    )
    settings = _settings(config)
    problems += _unknown_names(config, settings, candidates)
    context = {"queues": tuple(config.queues)}
    plugins: list[Plugin] = []
    left_out: list[LeftOut] = []
    for name, candidate in candidates.items():
        if name in config.plugins.disable:
            continue
        plugin, found = _load(candidate, settings.get(name), context)
        problems += found
        if plugin is not None:
            plugins.append(plugin)
        else:
            left_out.append(_left_out(candidate, found))
    shown = tuple(_seen_from(config.root, problem) for problem in problems)
    return Loaded(plugins=tuple(plugins), problems=shown, left_out=tuple(left_out))


def _in_folder(
    folder: Path | None, origin: str, problems: list[Problem]
) -> Iterator[_Candidate]:
    """Yield the plugins of a folder; ``_…``, ``.…``, tests and others are none."""
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.iterdir(), key=lambda path: path.stem):
        is_plugin = path.suffix == ".py" or (path / "__init__.py").is_file()
        is_other = path.name.startswith(("_", ".", "test_")) or path.stem == "conftest"
        if not is_plugin or is_other:
            continue
        if is_plugin_name(path.stem):
            yield _Candidate(name=path.stem, origin=origin, path=path.resolve())
        else:
            text = f"'{path.stem}' can't be a plugin's name"
            hint = "lower case letters, digits and _, and no word of otrsd's own"
            problems.append(problem_in(path, 0, text, hint))


def _in_packages(installed: Iterable[EntryPoint]) -> Iterator[_Candidate]:
    for point in sorted(installed, key=lambda point: point.name):
        path = Path(point.dist.name if point.dist else point.value)
        yield _Candidate(
            name=point.name, origin="package", path=path, entry_point=point
        )


def _distinct(
    found: Iterable[_Candidate], problems: list[Problem]
) -> dict[str, _Candidate]:
    """Keep one plugin a name: a site's file may stand for a shipped one."""
    kept: dict[str, _Candidate] = {}
    for candidate in found:
        other = kept.setdefault(candidate.name, candidate)
        if other is candidate or candidate.origin == "shipped":
            continue
        text = f"plugin '{candidate.name}' is also in {other.path}"
        problems.append(problem_in(candidate.path, 0, text, "rename one of them"))
    return kept


def _unknown_names(
    config: Config, settings: Mapping[str, Node], candidates: Mapping[str, _Candidate]
) -> Iterator[Problem]:
    """Yield what YAML says about plugins that there are not."""
    for name, node in settings.items():
        if name not in candidates:
            text = f"{_path(name)}: there is no plugin '{name}'"
            yield node.problem(text, did_you_mean(name, candidates))
    for name in config.plugins.disable:
        if name not in candidates:
            problem = _place_in_disable(config, name).problem(
                f"plugins.disable names '{name}', which is no plugin",
                did_you_mean(name, candidates),
            )
            yield replace(problem, severity=Severity.WARNING)


def _place_in_disable(config: Config, name: str) -> Node:
    """Return where YAML names the plugin that is to be taken out of service."""
    whole = config.plugins.disabled
    if whole is None:
        return _located(name, name)
    return next((item for item in whole.list or () if item.text == name), whole)


def _left_out(candidate: _Candidate, problems: Iterable[Problem]) -> LeftOut:
    errors = (each.text for each in problems if each.severity is Severity.ERROR)
    return LeftOut(
        name=candidate.name,
        source=str(candidate.path),
        origin=candidate.origin,
        error=next(errors, ""),
    )


def _load(
    candidate: _Candidate, settings: Node | None, context: Mapping[str, Any]
) -> tuple[Plugin | None, tuple[Problem, ...]]:
    """Run one plugin's code and check what it offers."""
    refusal = tuple(_unsafe(candidate))
    if refusal:
        return None, refusal
    try:
        module = _module(candidate)
        instance, problems = _instance(candidate, module, settings, context)
        if instance is not None:
            problems = (*problems, *problems_of(instance, candidate.path))
        hooks = hooks_of(instance)
    # A plugin's file may raise anything, SystemExit too; only it is left out.
    except BaseException as error:  # noqa: BLE001 - see the comment above
        return None, (_broken(candidate, error),)
    if any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
    plugin = Plugin(
        name=candidate.name,
        instance=instance,
        source=str(candidate.path),
        origin=candidate.origin,
        version=_version(candidate, module),
        hooks=hooks,
    )
    return plugin, problems


def _unsafe(candidate: _Candidate) -> Iterator[Problem]:
    """Refuse code that anybody on this machine may change."""
    if candidate.entry_point is not None:
        return
    files = [candidate.path, candidate.path.parent]
    if candidate.path.is_dir():
        files += sorted(candidate.path.rglob("*.py"))
    for path in files:
        if path.stat().st_mode & stat.S_IWOTH:
            text = f"plugin '{candidate.name}' is refused: anybody may write {path}"
            yield problem_in(candidate.path, 0, text, f"chmod o-w {path}")


class _FromSource(importlib.machinery.SourceFileLoader):
    """Compiles what stands in the file now: no stale byte code, no __pycache__."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file's present text."""
        path = self.get_filename(fullname)
        return compile(self.get_data(path), path, "exec", dont_inherit=True)


def _module(candidate: _Candidate) -> Any:
    """Return the module (or the object an entry point names)."""
    if candidate.entry_point is not None:
        return candidate.entry_point.load()
    path = candidate.path
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"otrsd_plugin_{candidate.name}_{digest}"
    folder = [str(path)] if path.is_dir() else None
    file = path / "__init__.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location(
        name,
        file,
        loader=_FromSource(name, str(file)),
        submodule_search_locations=folder,
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} can't be loaded")
    module = importlib.util.module_from_spec(spec)
    # pydantic and dataclasses look the module up while its classes are made.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _instance(
    candidate: _Candidate,
    module: Any,
    given: Node | None,
    context: Mapping[str, Any],
) -> tuple[object | None, tuple[Problem, ...]]:
    """Return the object whose hooks are called, made with its settings."""
    plugin_class = module if isinstance(module, type) else _own(module, "Plugin")
    settings_class = _own(module, "Settings")
    if settings_class is None:
        if given is not None:
            text = f"plugin '{candidate.name}' has no settings"
            return None, (given.problem(text),)
        return (plugin_class() if plugin_class else module), ()
    if plugin_class is None or not issubclass(settings_class, Settings):
        text = "Settings needs a class Plugin whose __init__ takes them"
        hint = "class Settings(otrsd.Settings) and class Plugin"
        return None, (problem_in(candidate.path, 0, text, hint),)
    settings, problems = fit(
        settings_class,
        given or _located(candidate.name, {}),
        _path(candidate.name),
        context=context,
    )
    if given is None:
        # No file has a line for what is missing there.
        hint = f"write plugins: {{settings: {{{candidate.name}: …}}}}"
        problems = tuple(
            problem_in(candidate.path, 0, each.text, hint) for each in problems
        )
    if settings is None:
        return None, problems
    try:
        return plugin_class(settings), problems
    except ValueError as error:
        if given is None:
            raise
        text = f"plugin '{candidate.name}' refuses its settings: {error}"
        return None, (given.problem(text),)


def _settings(config: Config) -> dict[str, Node]:
    """Return each plugin's settings with their places."""
    given = config.plugins
    return {
        name: given.nodes.get(name) or _located(name, value)
        for name, value in given.settings.items()
    }


def _located(name: str, value: object) -> Node:
    """Make located settings of values that come from no file."""
    return read(Source(name=_path(name), text=json.dumps(value))).root


def _path(name: str) -> str:
    return f"plugins.settings.{name}"


def _seen_from(root: Path, problem: Problem) -> Problem:
    """Name the problem's file from the site's folder, where it lies in it."""
    path = Path(problem.file)
    if not path.is_relative_to(root):
        return problem
    return replace(problem, file=str(path.relative_to(root)))


def _own(module: Any, name: str) -> Any:
    """Return a class that the plugin defines itself, not one it has imported."""
    found = getattr(module, name, None) if isinstance(module, ModuleType) else None
    return found if isinstance(found, type) and found is not Settings else None


def _broken(candidate: _Candidate, error: BaseException) -> Problem:
    """Say why a plugin's code could not be run, at its own line."""
    text = f"plugin '{candidate.name}' can't be loaded: {described(error)}"
    if isinstance(error, SyntaxError) and error.filename:
        return problem_in(Path(error.filename), error.lineno or 0, text)
    return problem_in(*(raised_at(error) or (candidate.path, 0)), text)


def _version(candidate: _Candidate, module: Any) -> str:
    """Return what tells this plugin's code from other code of the same name."""
    if candidate.entry_point is not None:
        dist = candidate.entry_point.dist
        return dist.version if dist else ""
    stated = getattr(module, "__version__", None)
    if isinstance(stated, str):
        return stated
    return hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()[:12]
