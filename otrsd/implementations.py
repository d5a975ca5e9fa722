"""Read what a plugin offers: its marked functions, and whether they fit a hook.

In: a module or an object. Out: the hooks it implements, and for each function that
fits none, or could not be called, a problem with file, line and the nearest right
word. pluggy alone says nothing of most of these, and gives no line for the rest.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pluggy

from otrsd import hookspecs
from otrsd.config.problem import (
    Problem,
    Severity,
    Source,
    did_you_mean,
    problem_at,
    visible,
)

#: Where pluggy's markers leave their options on a function.
_IMPL_MARK = f"{hookspecs.PROJECT}_impl"
_SPEC_MARK = f"{hookspecs.PROJECT}_spec"
#: A failure's text is at most this long.
_LONGEST = 400
#: Code of these folders is not a plugin's own, but for those that we ship.
_OURS = (Path(__file__).parent, Path(pluggy.__file__).parent)
_SHIPPED = Path(__file__).parent / "_site"


@cache
def accepted_names() -> Mapping[str, tuple[str, ...]]:
    """Return every hook with the names of the arguments it is called with."""
    return {
        name: tuple(inspect.signature(spec).parameters)
        for name, spec in vars(hookspecs).items()
        if hasattr(spec, _SPEC_MARK)
    }


def parameter_names(function: Callable[..., object]) -> tuple[str, ...]:
    """Return the names of the arguments that ``function`` takes."""
    return tuple(inspect.signature(function).parameters)


def hooks_of(instance: object) -> tuple[str, ...]:
    """Return the hooks that ``instance`` implements, sorted."""
    return tuple(sorted(hook for hook, _ in _marked(instance)))


def problems_of(instance: object, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the functions of ``instance``, found in ``path``."""
    marked = dict(_marked(instance))
    for hook, function in marked.items():
        for text, hint in _faults(hook, function):
            yield problem_in(*place_of(function, path), text, hint)
    for hook in accepted_names():
        unmarked = getattr(instance, hook, None)
        if hook not in marked and inspect.isroutine(unmarked):
            text = f"{hook}() bears a hook's name but is never called"
            yield problem_in(
                *place_of(unmarked, path), text, "put @hookimpl above it", warning=True
            )
    if not marked:
        text = "this plugin implements no hook"
        hint = "mark its functions with @hookimpl; docs/hooks.md shows all hooks"
        yield problem_in(path, 0, text, hint, warning=True)


def problem_in(
    file: Path, line: int, text: str, hint: str = "", *, warning: bool = False
) -> Problem:
    """Make a problem of a plugin's file; line 0 means the whole file."""
    severity = Severity.WARNING if warning else Severity.ERROR
    if not line:
        return Problem(severity=severity, file=str(file), text=text, suggestion=hint)
    try:
        source = Source(name=str(file), text=file.read_text("utf-8", "replace"))
    except OSError:
        source = Source(name=str(file), text="")
    start = len(source.line(line)) - len(source.line(line).lstrip())
    return problem_at(source, line, start + 1, text, suggestion=hint, severity=severity)


def described(error: BaseException) -> str:
    """Return ``error`` on one line: kind, text, and the file and line that raised."""
    try:
        words = " ".join(str(error).split())
    # A plugin's exception may fail even when it is asked for its text.
    except BaseException:  # noqa: BLE001 - see the comment above
        words = "(its text can't be read)"
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    where = raised_at(error)
    place = f" ({where[0].name}:{where[1]})" if where else ""
    return visible(text[:_LONGEST] + place)


def raised_at(error: BaseException) -> tuple[Path, int] | None:
    """Return file and line of the innermost frame of a plugin's own code."""
    frames = [
        (Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [
        frame
        for frame in frames
        if frame[0].is_absolute()
        and (
            _SHIPPED in frame[0].parents
            or not any(folder in frame[0].parents for folder in _OURS)
        )
    ]
    # Below the plugin's last frame stand libraries; its first file is its own.
    mine = [frame for frame in own if frame[0] == own[0][0]]
    return mine[-1] if mine else None


def place_of(function: Any, path: Path) -> tuple[Path, int]:
    """Return file and line of the ``def`` of ``function``; ``path`` if unknown."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return path, 0
    lines, first = inspect.getsourcelines(code)
    ahead = (n for n, line in enumerate(lines) if re.match(r"\s*(async )?def ", line))
    return Path(code.co_filename), first + next(ahead, 0)


def _faults(hook: str, function: Any) -> Iterator[tuple[str, str]]:
    """Yield text and hint for each reason why ``function`` can't be called."""
    name = getattr(function, "__name__", hook)
    if hook not in accepted_names():
        hint = did_you_mean(hook, accepted_names())
        known = f"hooks are {', '.join(sorted(accepted_names()))}"
        yield f"there is no hook '{hook}'", hint or known
        return
    options = getattr(function, _IMPL_MARK)
    if options.get("wrapper") or options.get("hookwrapper"):
        yield f"{name}() is a wrapper", "each implementation is called alone"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield f"{name}() is async", "hooks are called without an event loop: write def"
    accepted = accepted_names()[hook]
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _BY_NAME:
            yield f"{name}() takes '{parameter}'", f"name them: {', '.join(accepted)}"
        elif parameter.name not in accepted and parameter.default is parameter.empty:
            hint = did_you_mean(parameter.name, accepted)
            known = f"it is called with: {', '.join(accepted) or 'nothing'}"
            yield f"{name}() has no argument '{parameter.name}'", hint or known


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _marked(instance: object) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the marked functions of a module or object with the hook each means."""
    # A property would run code here; only functions can be marked.
    for name in dir(instance):
        found = inspect.getattr_static(instance, name)
        if inspect.isroutine(found):
            function = getattr(instance, name)
            options = getattr(function, _IMPL_MARK, None)
            if isinstance(options, dict):
                yield options.get("specname") or name, function
