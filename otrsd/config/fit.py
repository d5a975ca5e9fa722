"""A located value → a pydantic model, or problems that name the place.

pydantic finds all mistakes at once but knows no lines; this module maps each
mistake's path back to the node, and its type to words with a suggestion.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node

M = TypeVar("M", bound=BaseModel)

#: pydantic's type of a mistake → what the value should have been.
_WANTS: Mapping[str, str] = {
    "int_type": "wants a whole number",
    "int_parsing": "wants a whole number",
    "int_from_float": "wants a whole number",
    "float_type": "wants a number",
    "float_parsing": "wants a number",
    "bool_type": "wants true or false",
    "bool_parsing": "wants true or false",
    "string_type": "wants text",
    "tuple_type": "wants a list",
    "list_type": "wants a list",
    "set_type": "wants a list",
    "dict_type": "wants a map (name: value)",
    "mapping_type": "wants a map (name: value)",
    "model_type": "wants a map (name: value)",
    "model_attributes_type": "wants a map (name: value)",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must not be empty",
    "literal_error": "wants {expected}",
    "string_too_long": "has more than {max_length} characters",
}
_SWITCHES = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def fit(
    model: type[M], node: Node, what: str, *, ready: Mapping[str, Any] | None = None
) -> tuple[M | None, tuple[Problem, ...]]:
    """Make ``model`` from ``node``; ``what`` names it in messages.

    ``ready`` holds members that are finished values already.
    """
    plain = node.plain()
    value = {} if plain is None else plain
    if ready and isinstance(value, dict):
        value = {**value, **ready}
    try:
        return model.model_validate(value), ()
    except ValidationError as error:
        details = error.errors(include_url=False)
    return None, tuple(_problem(model, node, what, detail) for detail in details)


def _problem(
    model: type[BaseModel], node: Node, what: str, detail: ErrorDetails
) -> Problem:
    path = detail["loc"]
    at, key, walked = _walk(node, path)
    name = ".".join([what, *walked]) if what else ".".join(walked)
    if detail["type"] == "extra_forbidden" and key is not None:
        parent = ".".join([*([what] if what else []), *walked[:-1]])
        known = _known_keys(model, path[:-1])
        inside = f" in '{parent}'" if parent else ""
        return key.problem(
            f"unknown key '{key.text}'{inside}", did_you_mean(key.text, known)
        )
    if detail["type"] == "missing":
        return (key or at).problem(f"'{path[-1]}' is missing in '{name or 'the file'}'")
    return at.problem(*_words(at, name, detail))


def _walk(
    node: Node, path: tuple[int | str, ...]
) -> tuple[Node, Node | None, list[str]]:
    """Follow ``path`` as far as the tree goes; also return the last key passed."""
    key: Node | None = None
    walked: list[str] = []
    for step in path:
        if node.map is not None and step in node.map:
            key, node = node.keys[str(step)], node.map[str(step)]
            walked.append(str(step))
        elif node.list is not None and isinstance(step, int) and step < len(node.list):
            node = node.list[step]
    return node, key, walked


def _words(at: Node, name: str, detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx") or {}
    if detail["type"] == "value_error":
        wants = str(context.get("error", detail["msg"]))
    else:
        wants = _WANTS.get(detail["type"], detail["msg"]).format_map(context)
    if at.value is None:
        return f"'{name}' {wants}, but is empty", ""
    if not at.is_scalar:
        shape = "a map" if at.map is not None else "a list"
        return f"'{name}' {wants}, not {shape}", ""
    return f"'{name}' {wants}, not '{at.text}'", _hint(at, detail["type"])


def _hint(at: Node, kind: str) -> str:
    """Return what to write instead where it can be told."""
    if kind == "string_type":
        return f'put it in quotes: "{at.text}"'
    if kind == "int_type" and at.style and at.text.isdecimal():
        return "take the quotes away"
    return switch_hint(at.text) if kind in {"bool_type", "bool_parsing"} else ""


def switch_hint(text: str) -> str:
    """Return what YAML 1.2 writes for ``yes``, ``no``, ``on`` and ``off``."""
    meant = _SWITCHES.get(text.lower())
    return f"did you mean '{meant}'?" if meant else ""


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that can stand at ``path``."""
    here: Any = model
    for step in path:
        here = _inside(here, step)
    found = _model_in(here)
    fields = {} if found is None else found.model_fields
    # An alias for validation alone marks a member that no file may set.
    return [
        field.alias or name
        for name, field in fields.items()
        if field.alias or not field.validation_alias
    ]


def _inside(annotation: Any, step: int | str) -> Any:
    """Return the annotation of the member ``step`` of something annotated so."""
    if get_origin(annotation) in {dict, Mapping}:
        return get_args(annotation)[-1]
    found = _model_in(annotation)
    if found is not None and step in found.model_fields:
        return found.model_fields[str(step)].annotation
    return annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation such as ``Model | None`` is about."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, UnionType} or get_args(annotation):
        found = (_model_in(argument) for argument in get_args(annotation))
        return next((model for model in found if model is not None), None)
    return None
