"""`otrsd config`: where each value stands; the schema accepts what the loader does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otrsd.cli.init import EXAMPLES
from otrsd.config.describe import json_schema
from otrsd.config.problem import Source
from otrsd.config.yaml import read

ROOT = Path(__file__).parents[2]
CANARY = "canary-7f3a"


@pytest.fixture
def secrets(otrsd_app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a site with the canary as a secret of each kind."""
    root = otrsd_app.root
    monkeypatch.setenv("OTRSD_CONFIG", str(root))
    monkeypatch.setenv("OTRSD_STATE", str(root / "var"))
    monkeypatch.setenv("DATABASE", f"sqlite:///{root}/{CANARY}.db")
    (root / "credentials").mkdir()
    (root / "credentials/pin").write_text(f"{CANARY}\n")
    (root / "secret").write_text(f"{CANARY}\n")
    otrsd_app.configure(
        "site: {database: {$env: DATABASE}}\n"
        "plugins: {settings: {spam: {trust: {mode: token, token: {$file: secret}}}}}\n"
        "rules: {a: {then: {title: public}}}\n"
    )
    return otrsd_app


def test_each_value_with_its_place(otrsd: Callable[..., Any], site: Any) -> None:
    dumped = otrsd("config", "dump")
    assert dumped.code == 0
    lines = [line.split("\t") for line in dumped.out.splitlines()]
    assert ["site.timezone", "Europe/Berlin", "otrsd.yaml:1"] in lines
    assert ["rules.spam subjects.when.subject", "SPAM", "otrsd.yaml:7"] in lines
    assert ["trash.keep", "30d", "default"] in lines
    assert not [x for x in otrsd("config", "dump", "--changed").out if "default" in x]


def test_get_one_value_and_a_branch(otrsd: Callable[..., Any], site: Any) -> None:
    assert otrsd("config", "get", "site.name").out == "Test\n"
    branch = otrsd("config", "get", "queues.billing", "--json").json
    assert branch[0] == {
        "key": "queues.billing.address",
        "value": "billing@example.com",
        "origin": "otrsd.yaml:4",
    }
    missing = otrsd("config", "get", "site.nam")
    assert (missing.code, "did you mean 'site.name'?" in missing.err) == (3, True)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("listen.smtp.max_size", "Largest content in octets."),
        ("queues.support.address", "Addresses whose mail lands here"),
        ("trash.keep", "default  30d"),
        ("rules", "What a mail is about"),
        ("listen.smtp.allow", "where 'address' is not loopback"),
        ("", "site, listen, queues"),
    ],
)
def test_help(otrsd: Callable[..., Any], key: str, said: str) -> None:
    assert said in otrsd("config", "help", key).out


def test_every_key_has_a_meaning(otrsd: Callable[..., Any]) -> None:
    todo = [""]
    while todo:
        key = todo.pop()
        found = otrsd("config", "help", key, "--json").json
        assert found["meaning"], key
        todo += [f"{key}.{name}".strip(".") for name in found["keys"]]


def test_no_secret_is_printed(otrsd: Callable[..., Any], secrets: Any) -> None:
    for arguments in (
        ("config", "dump"),
        ("config", "dump", "--json"),
        ("config", "get", "site.database"),
        ("config", "get", "plugins"),
        ("check",),
        ("check", "--json"),
    ):
        ran = otrsd(*arguments)
        assert ran.code == 0, ran.err
        assert CANARY not in ran.out + ran.err, arguments
    assert "***" in otrsd("config", "get", "site.database").out


def test_no_error_shows_a_secret(otrsd: Callable[..., Any], secrets: Any) -> None:
    for wrong in (
        "site: {database: {$credential: pin}}",
        "site: {timezone: {$credential: pin}}",
        "plugins: {settings: {spam: {trust: {mode: {$credential: pin}}}}}",
        "site: {system_id: {$credential: pin}}",
    ):
        secrets.configure(wrong)
        ran = otrsd("check")
        assert ran.code == 1, wrong
        assert CANARY not in ran.out + ran.err


def test_password_in_a_url_is_hidden(otrsd: Callable[..., Any], site: Any) -> None:
    site.configure(f"site: {{database: 'postgresql+psycopg://me:{CANARY}@db/desk'}}")
    dumped = otrsd("config", "dump").out
    assert "postgresql+psycopg://me:***@db/desk" in dumped
    assert CANARY not in dumped


def test_credential_of_the_unit_comes_first(
    otrsd: Callable[..., Any], secrets: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    (tmp_path / "loaded").mkdir()
    (tmp_path / "loaded/pin").write_text("UTC")
    secrets.configure("site: {timezone: {$credential: pin}}")
    assert otrsd("check").code == 1
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "loaded"))
    assert otrsd("check").code == 0


@pytest.mark.parametrize("path", ["../pin", "..", "/etc/passwd"])
def test_credential_is_no_path(
    otrsd: Callable[..., Any], secrets: Any, path: str
) -> None:
    secrets.configure(f"site: {{timezone: {{$credential: {path}}}}}")
    assert "wants a name, not a path" in otrsd("check").out


def test_schema_accepts_every_site_of_ours() -> None:
    schema = json_schema()
    files = [ROOT / "otrsd.yaml", *(ROOT / "config").glob("*.yaml")]
    files += [ROOT / "otrsd/examples/otrsd.yaml"]
    for example in EXAMPLES:
        files += (ROOT / "otrsd/examples" / example).glob("*.yaml")
    documentation = (ROOT / "docs/configuration.md").read_text()
    texts = [path.read_text() for path in files]
    texts += re.findall(r"```yaml\n(.*?)```", documentation, re.DOTALL)
    for text in texts:
        value = read(Source(name="x", text=text)).root.plain()
        assert rejected(schema, value, schema) == "", text


@pytest.mark.parametrize(
    "text",
    [
        "sites: {}",
        "site: {nam: x}",
        "site: {system_id: ten}",
        "listen: {smtp: {port: 70000}}",
        "listen: {smtp: {address: 127.0.0.1}}",
        "listen: {smtp: {port: 25, max_size: 25 buckets}}",
        "trash: {keep: 30}",
        "rules: {a: {whne: {}, then: discard}}",
        "queues: {a: {address: [1]}}",
    ],
)
def test_schema_refuses_what_the_loader_refuses(text: str) -> None:
    schema = json_schema()
    assert rejected(schema, read(Source(name="x", text=text)).root.plain(), schema)


KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def rejected(schema: Any, value: Any, top: Any) -> str:
    """Say why ``value`` is not what the schema wants; the parts that ours uses."""
    if "$ref" in schema:
        return rejected(top["$defs"][schema["$ref"].rpartition("/")[2]], value, top)
    if "anyOf" in schema:
        found = [rejected(each, value, top) for each in schema["anyOf"]]
        return "" if "" in found else f"none of {found}"
    if problem := _scalar(schema, value):
        return problem
    if isinstance(value, list):
        return "".join(rejected(schema.get("items", {}), v, top) for v in value)
    return _map(schema, value, top) if isinstance(value, dict) else ""


def _scalar(schema: Any, value: Any) -> str:
    kinds = schema.get("type", list(KINDS))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(_is(value, kind) for kind in kinds):
        return f"{value!r} is not {kinds}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{value} is too small"
    if "maximum" in schema and value > schema["maximum"]:
        return f"{value} is too large"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"{value} is not like {schema['pattern']}"
    return ""


def _map(schema: Any, value: dict[str, Any], top: Any) -> str:
    known = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    lacking = [name for name in schema.get("required", ()) if name not in value]
    problems = [f"{lacking} are missing"] if lacking else []
    for name, each in value.items():
        if name not in known and more is False:
            problems.append(f"unknown {name}")
        elif name in known or isinstance(more, dict):
            problems.append(rejected(known.get(name, more), each, top))
    return "".join(problems)


def _is(value: Any, kind: str) -> bool:
    is_switch = isinstance(value, bool)
    return isinstance(value, KINDS[kind]) and (not is_switch or kind == "boolean")


def test_schema_is_json(otrsd: Callable[..., Any]) -> None:
    printed = otrsd("config", "schema").out
    assert json.loads(printed)["$schema"].endswith("2020-12/schema")
