"""What can stand in the files: each key's meaning, its default, and a JSON Schema.

Everything is read from the models of :mod:`otrsd.config.models`: types and defaults
from pydantic, the meaning from the ``#:`` comment above each field. So nothing said
here can differ from what is checked. JSON Schema draft 2020-12.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticUndefined, core_schema

from otrsd.config import values
from otrsd.config.fit import model_in
from otrsd.config.load import SECTIONS
from otrsd.config.models import Config

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SIZE = {"type": "string", "pattern": r"^\d+\s*([KMGTkmgt]?[iI]?[bB])?$"}
_DURATION: JsonSchemaValue = {"type": "string", "pattern": r"^(\d+[smhdw])+$"}
_SECRET: JsonSchemaValue = {
    "description": "A value that stands outside the files.",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        name: {"type": "string"} for name in ("$env", "$file", "$credential")
    },
}
_RULE: JsonSchemaValue = {
    "type": "object",
    "required": ["then"],
    "additionalProperties": False,
    "properties": {
        "description": {"type": "string", "description": "For people."},
        "enabled": {
            "type": "boolean",
            "description": "false: as if it were not there.",
        },
        "when": {"type": ["object", "null"], "description": "All of these must hold."},
        "then": {"type": ["object", "array", "string"], "description": "What to do."},
        "tests": {
            "type": "array",
            "description": "Mails (mail, raw or file) and what is expected of them.",
            "items": {"type": "object"},
        },
    },
}
#: What the models leave to others to read.
_EXTRA: Mapping[str, JsonSchemaValue] = {
    "rules": {
        "description": "What a mail is about decides where it goes.",
        "type": ["object", "null"],
        "additionalProperties": _RULE,
    },
    "templates": {
        "description": "Texts that otrsd writes, by name.",
        "type": ["object", "null"],
    },
    "include": {
        "description": "Files that are read after this one; in otrsd.yaml only.",
        "type": ["array", "string"],
        "items": {"type": "string"},
        "default": ["config/*.yaml"],
    },
}
_TOP = "otrsd.yaml, then the files of config/ by name; sections are joined."
_WITH_SECRETS = ("Site", "Send", "FetchAccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key, or one section, for ``otrsd config help``."""

    name: str
    meaning: str
    #: As it would be written; empty for a section.
    default: str = ""
    #: What may stand inside.
    keys: Sequence[str] = ()


def find_key(name: str) -> Key | None:
    """Return what is known of ``listen.smtp.port`` or ``queues.NAME.address``."""
    model: type[BaseModel] | None = Config
    described: Key | None = Key(
        name="", meaning=_TOP, keys=tuple(dict.fromkeys((*sections(), *_EXTRA)))
    )
    annotation: Any = Config
    steps = name.split(".") if name else []
    for depth, step in enumerate(steps):
        said = ".".join(steps[: depth + 1])
        if depth == 0 and step in _EXTRA:
            return Key(name=said, meaning=str(_EXTRA[step]["description"]))
        if model is None:
            return None
        names = keys_of(model) if model is not Config else sections()
        field = next((f for n, f in names.items() if n == step), None)
        if field is None and depth and model_in(annotation) is None:
            return None
        if field is None:
            # A name that the site has chosen: a queue's.
            if not _is_mapping(annotation):
                return None
            described = Key(name=said, meaning=_doc(model), keys=tuple(names))
            annotation = model
            continue
        annotation = field.annotation
        inner = model_in(annotation)
        described = _described(said, model, step, field, inner)
        model = inner
    return described


def sections() -> dict[str, FieldInfo]:
    """Return the sections that the models know."""
    return {name: f for name, f in Config.model_fields.items() if name in SECTIONS}


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys of a model that a file may set."""
    return {
        field.alias or name: field
        for name, field in model.model_fields.items()
        if field.alias or not field.validation_alias
    }


def written(value: object) -> str:
    """Return a value as it is written in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        units = (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
        unit, size = next((u, n) for u, n in units if seconds % n == 0 or n == 1)
        return f"{seconds // size}{unit}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(each) for each in value) + "]"
    return "" if value is None else str(value)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file, for editors and for other programs."""
    schema: dict[str, Any] = Config.model_json_schema(
        schema_generator=_Schema, mode="validation"
    )
    definitions = schema.pop("$defs")
    properties = schema["properties"]
    kept = {name: properties[name] for name in SECTIONS if name in properties}
    definitions.pop("Node", None)
    for model in _models(Config):
        _add_meanings(definitions.get(model.__name__), model)
    for name in _WITH_SECRETS:
        _allow_secrets(definitions.get(name))
    for name, field in sections().items():
        if name not in _EXTRA:
            kept[name].pop("default", None)
            meaning = _meaning(Config, name, field)
            kept[name] |= {"description": meaning} if meaning else {}
    return {
        "$schema": _DIALECT,
        "title": "otrsd.yaml and the files of config/",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {**kept, **_EXTRA},
        "$defs": {**definitions, "Secret": _SECRET},
    }


class _Schema(GenerateJsonSchema):
    """Knows how our own validators let a value be written."""

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        """Return what may stand before the validator has seen it."""
        function = schema["function"]["function"]
        if function is values.duration:
            return dict(_DURATION)
        inner = self.generate_inner(schema["schema"])
        if function is values.size:
            return {"anyOf": [{"type": "integer", "minimum": 1}, dict(_SIZE)]}
        if function is values.one_or_many:
            return {"anyOf": [inner, {"type": "string"}]}
        # The other one is the models' own: nothing stands for all defaults.
        return {**inner, "type": ["object", "null"]}

    def is_instance_schema(
        self, schema: core_schema.IsInstanceSchema
    ) -> JsonSchemaValue:
        """Let anything stand where somebody else reads the value."""
        _ = schema
        return {}


def _described(
    said: str,
    model: type[BaseModel],
    step: str,
    field: FieldInfo,
    inner: type[BaseModel] | None,
) -> Key:
    meaning = _meaning(model, step, field)
    if inner is not None:
        of_names = _is_mapping(field.annotation)
        keys = tuple(f"NAME.{k}" if of_names else k for k in keys_of(inner))
        return Key(name=said, meaning=meaning or _doc(inner), keys=keys)
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return Key(name=said, meaning=f"{meaning} It must be given.".strip())
    return Key(name=said, meaning=meaning, default=written(default) or '""')


def _meaning(model: type[BaseModel], key: str, field: FieldInfo) -> str:
    name = next((n for n, f in model.model_fields.items() if f is field), key)
    return _plain(_comments(model).get(name, ""))


def _plain(text: str) -> str:
    """Return what a terminal shows: it knows no mark-up."""
    return text.replace("``", "'")


def _doc(model: type[BaseModel]) -> str:
    return _plain(inspect.cleandoc(model.__doc__ or ""))


@cache
def _comments(model: type[BaseModel]) -> dict[str, str]:
    """Return the ``#:`` comment above each field of a model."""
    source = inspect.getsource(model)
    lines = source.splitlines()
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said: list[str] = []
            at = node.lineno - 2
            while at >= 0 and lines[at].lstrip().startswith("#:"):
                said.insert(0, lines[at].lstrip()[2:].strip())
                at -= 1
            found[node.target.id] = " ".join(said)
    return found


def _models(top: type[BaseModel]) -> list[type[BaseModel]]:
    found = [top]
    for field in top.model_fields.values():
        inner = model_in(field.annotation)
        if inner is not None:
            found += [each for each in _models(inner) if each not in found]
    return found


def _add_meanings(definition: dict[str, Any] | None, model: type[BaseModel]) -> None:
    known = keys_of(model)
    properties = (definition or {}).get("properties", {})
    for name in [each for each in properties if each not in known]:
        del properties[name]
    for name, field in known.items():
        target = properties.get(name)
        if target is not None and (meaning := _meaning(model, name, field)):
            target["description"] = re.sub(r"`+", "", meaning)


def _allow_secrets(definition: dict[str, Any] | None) -> None:
    for name, value in (definition or {}).get("properties", {}).items():
        if value.get("type") == "string":
            outer = {k: value[k] for k in ("default", "description") if k in value}
            inner = {k: v for k, v in value.items() if k not in outer}
            secret = {"$ref": "#/$defs/Secret"}
            (definition or {})["properties"][name] = {
                **outer,
                "anyOf": [inner, secret],
            }


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is not None and "Mapping" in str(
        annotation
    )
