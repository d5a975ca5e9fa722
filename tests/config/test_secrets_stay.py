"""No message shows a password that stands in a file."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from otrsd.config.load import Examined, Source, recall
from otrsd.config.problem import without_passwords
from otrsd.config.redact import redacted
from otrsd.language.rules import compile_rules

QUEUES = "queues: {support: {address: support@example.com}}\n"


@pytest.mark.parametrize(
    "send",
    [
        "{host: h, username: u, password: CANARY, tls: maybe}",
        "{password: 'CANARY, {x}', username: u, tls: maybe, host: h}",
        '{password: "CANARY, {x}", username: u, host: "a:b"}',
        "{host: h, username: u, password: 4711}",
        "{host: h, username: u, password: [CANARY]}",
        "\n  host: h\n  password: CANARY is long\n  tls: none\n  username: u",
    ],
)
def test_an_error_beside_a_password(send: str, site: Callable[..., Examined]):
    examined = site(f"{QUEUES}send: {send}\n")
    assert examined.config is None
    said = "\n".join(problem.render() for problem in examined.problems)
    assert "send" in said
    assert "CANARY" not in said
    assert "4711" not in said


def test_what_stays_readable(site: Callable[..., Examined]):
    (problem,) = site(f"{QUEUES}send: {{host: h, password: {{$env: NO}}}}").problems
    assert "$env: NO" in problem.render()


SECRETS = """\
# once it was CANARY
site: {database: "postgresql://u:CANARY@h/db", name: x}   # CANARY
send:
  host: h
  username: u
  password: >-
    CANARY is
    long
fetch: {box: {protocol: imap, host: h, username: u, password: CANARY, token: CANARY}}
plugins:
  settings:
    spam: {score: CANARY, lists: [CANARY, {CANARY: 'a

      CANARY'}], url: &a CANARY, again: *a}
rules:   # CANARY
  one: {when: {header.x-token: "#1"}, then: {queue: a, title: "a # b"}}
queues: {a: {address: a@example.com}}
"""


def test_g08_a_snapshot_has_no_secret_and_all_its_lines() -> None:
    (text,) = json.loads(snapshot(SECRETS)).values()
    assert "CANARY" not in text
    assert text.count("\n") == SECRETS.count("\n")
    assert 'one: {when: {header.x-token: "#1"}, then: {queue: a, title: "a # b"}}' in (
        text
    )


def test_g08_a_past_decision_can_be_explained_without_secrets() -> None:
    then = recall(snapshot(SECRETS))
    (rule,) = compile_rules(then.rules, queues=then.queues).rules
    assert (rule.name, rule.origin, then.queues) == ("one", "f.yaml:16", ("a",))


def test_g08_a_line_with_a_url_shows_no_password(site: Callable[..., Examined]) -> None:
    (problem,) = site("site: {database: 'postgrs://u:CAN@ARY/@h/db'}").problems
    assert "CAN" not in problem.render()
    assert "ARY" not in problem.render()


def snapshot(text: str) -> str:
    return json.dumps({"f.yaml": redacted(Source(name="f.yaml", text=text))})


def test_g08_nor_does_an_argument_of_a_url(site: Callable[..., Examined]) -> None:
    (problem,) = site("site: {database: 'postgrs://h/db?password=CANARY'}").problems
    assert "CANARY" not in problem.render()
    assert without_passwords("pg://h/db?a=b&password=CANARY") == (
        "pg://h/db?a=b&password=***"
    )
