"""Trying: run the tests that stand beside the rules.

A trial that fails is an error at its own line: what came instead, whose doing that
was, or why the rule did not match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from otrsd.config.problem import Problem
from otrsd.language.landing import Landing, landing
from otrsd.language.rules import Rule, Rules
from otrsd.language.trials import Expected, Trial
from otrsd.mime.automatic import recognise
from otrsd.mime.parse import parse
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail
from otrsd.model.ticket import PRIORITIES

#: Name of a file, counted from the site's folder → its octets; raises OSError.
ReadFile = Callable[[str], bytes]

#: Not looked at by any condition.
_WHEN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one trial; a problem where it failed."""

    trial: Trial
    problem: Problem | None


def run_trials(rules: Rules, read_file: ReadFile) -> tuple[Tried, ...]:
    """Run every test that stands beside a rule."""
    return tuple(
        Tried(trial=trial, problem=_failure(rules, rule, trial, read_file))
        for rule in rules.rules
        for trial in rule.trials
    )


def _failure(
    rules: Rules, rule: Rule, trial: Trial, read_file: ReadFile
) -> Problem | None:
    try:
        content = read_file(trial.file) if trial.file else trial.content
    except OSError as error:
        reason = f"{trial.file} can't be read: {error.strerror or error}"
        return trial.node.problem(f"the test of rule '{rule.name}': {reason}")
    mail, envelope = seen(content)
    try:
        landed = landing(rules.run(mail, envelope))
    except Exception as error:  # noqa: BLE001 - a plugin's field may raise anything
        text = f"a plugin's field failed: {type(error).__name__}: {error}"
        return trial.node.problem(f"the test of rule '{rule.name}': {text}")
    found = _difference(trial.expected, landed, rule.name)
    if not found:
        return None
    if trial.expected.matched and rule.name not in landed.rules:
        tried = {each.rule: each.why for each in rules.explain(mail, envelope)}
        found = f"it did not match: {tried[rule.name]}"
    return trial.node.problem(f"the test of rule '{rule.name}' fails: {found}")


def _difference(expected: Expected, landed: Landing, rule: str) -> str:
    """Return in words what is not as expected; empty where all is."""
    if expected.matched is not (rule in landed.rules):
        return "it did not match" if expected.matched else "it matched"
    wrong: list[str] = []
    for name, wanted in expected.values.items():
        came = landed.values.get(name)
        if (bool(came) if isinstance(wanted, bool) else came) != wanted:
            by = f" by rule '{landed.owners[name]}'" if came is not None else ""
            wrong.append(
                f"{name} is {_shown(name, came)}{by}, not {_shown(name, wanted)}"
            )
    wrong += [
        f"tag '{tag}' is missing" for tag in expected.tags if tag not in landed.tags
    ]
    for name, text in expected.fields.items():
        if landed.fields.get(name) != text:
            wrong.append(f"field {name} is {landed.fields.get(name)!r}, not {text!r}")
    return "; ".join(wrong)


def _shown(name: str, value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if name == "priority" and isinstance(value, int):
        return PRIORITIES[value]
    return f"'{value}'"


def seen(content: bytes) -> tuple[Mail, Envelope]:
    """Return a mail as rules would see it, and the envelope it would have come in."""
    mail = parse(content)
    envelope = Envelope(
        mail_from=mail.author.address if mail.author else "",
        rcpt_tos=tuple(each.address for each in (*mail.to, *mail.cc)),
        channel="smtp",
        received_at=_WHEN,
    )
    # A test that names no sender has not come from the null reverse-path.
    kind = recognise(mail, replace(envelope, channel="imap"), content).kind
    return replace(mail, kind=kind), envelope
