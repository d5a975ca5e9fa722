"""The rules of a site: compiled once, run on each mail.

In: ``Config.rules`` (name → located value). Out: :class:`Rules`, and in
``Rules.problems`` everything that is wrong with them; a rule with a problem is left
out. ``run`` returns what every matching rule proposes, in order; the caller folds it
(the first rule to set a field wins). Exceptions of plugin match fields pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace

from otrsd.config.fit import switch_hint
from otrsd.config.problem import Problem, Severity, did_you_mean
from otrsd.config.yaml import Node
from otrsd.language.actions import ActionReader, Actions
from otrsd.language.conditions import Conditions
from otrsd.language.evaluate import Check, MatchField, View, compile_tree
from otrsd.language.regex import Pattern
from otrsd.language.tree import ALWAYS, Op, Tree, each_test
from otrsd.language.trials import Trial, read_trials
from otrsd.language.words import why
from otrsd.model.changes import Changes
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail
from otrsd.model.ticket import STATES, StateType, Ticket

_MAX_NAME = 100
_KEYS = ("description", "enabled", "when", "then", "tests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one matching rule proposes."""

    rule: str
    #: ``file:line`` of the rule's name.
    origin: str
    changes: Changes
    #: No later rule was asked.
    stop: bool = False
    #: What was left out, as the mail did not give it.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of one rule, for ``explain``."""

    rule: str
    origin: str
    matched: bool
    #: The words that decided it: ``subject does not contain 'SPAM'``.
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, compiled."""

    name: str
    origin: str
    when: Tree
    holds: Check
    actions: Actions
    #: What ``check`` tries on it.
    trials: tuple[Trial, ...] = ()


class Rules:
    """All rules of a site, in order."""

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        match_fields: Mapping[str, MatchField] | None = None,
        problems: Iterable[Problem] = (),
    ) -> None:
        self.rules = tuple(rules)
        self.problems = tuple(problems)
        #: Name → how a plugin reads it from a mail.
        self.match_fields = match_fields or {}

    def run(
        self,
        mail: Mail,
        envelope: Envelope,
        ticket: Ticket | None = None,  # noqa: ARG002 - ticket fields come with jobs
        *,
        without: Container[str] = (),
        released: bool = False,
    ) -> tuple[Applied, ...]:
        """Return what the matching rules propose, in order, until one stops.

        ``without`` names rules that don't count for this mail (it was restored from
        the trash), ``released`` is a mail that no rule may hold again: neither ends
        the run.
        """
        view = View(mail, envelope, self.match_fields)
        applied: list[Applied] = []
        for rule in self.rules:
            groups: dict[str, str] = {}
            if not rule.holds(view, groups):
                continue
            changes, notes = rule.actions.changes(groups)
            ends = rule.actions.ends(released=released) and rule.name not in without
            applied.append(
                Applied(
                    rule=rule.name,
                    origin=rule.origin,
                    changes=changes,
                    stop=ends,
                    notes=notes,
                )
            )
            if ends:
                break
        return tuple(applied)

    def timed(
        self, monotonic: Callable[[], float], told: Callable[[str, float], object]
    ) -> Rules:
        """Return the same rules; ``told`` hears how long the conditions took."""

        def watched(rule: Rule) -> Rule:
            def holds(view: View, groups: dict[str, str]) -> bool:
                start = monotonic()
                try:
                    return rule.holds(view, groups)
                finally:
                    told(rule.name, monotonic() - start)

            return replace(rule, holds=holds)

        return Rules(
            [watched(rule) for rule in self.rules],
            match_fields=self.match_fields,
            problems=self.problems,
        )

    def explain(
        self,
        mail: Mail,
        envelope: Envelope,
        ticket: Ticket | None = None,  # noqa: ARG002 - as in run
        *,
        without: Container[str] = (),
        released: bool = False,
    ) -> tuple[Tried, ...]:
        """Return for each rule whether it matched, and why; arguments as in run."""
        view = View(mail, envelope, self.match_fields)
        tried: list[Tried] = []
        ended = ""
        for rule in self.rules:
            matched, words = (
                (False, f"not asked: rule '{ended}' ended the run")
                if ended
                else why(rule.when, view)
            )
            tried.append(
                Tried(rule=rule.name, origin=rule.origin, matched=matched, why=words)
            )
            counts = matched and rule.name not in without
            if counts and rule.actions.ends(released=released):
                ended = rule.name
        return tuple(tried)


def compile_rules(
    rules: Mapping[str, Node],
    *,
    queues: Iterable[str],
    states: Mapping[str, StateType] = STATES,
    match_fields: Mapping[str, MatchField] | None = None,
) -> Rules:
    """Compile ``Config.rules``; what is wrong is in the result's ``problems``."""
    fields = match_fields or {}
    names = tuple(queues)
    compiled: list[Rule] = []
    problems: list[Problem] = []
    for name, node in rules.items():
        rule, found = _rule(name, node, names, states, fields)
        problems.extend(found)
        if rule is None:
            continue
        last = compiled[-1] if compiled else None
        if last is not None and last.when == ALWAYS and last.actions.ends():
            problems.append(_never_asked(node, name, last))
        compiled.append(rule)
    return Rules(compiled, match_fields=fields, problems=problems)


def _rule(
    name: str,
    node: Node,
    queues: tuple[str, ...],
    states: Mapping[str, StateType],
    match_fields: Mapping[str, MatchField],
) -> tuple[Rule | None, list[Problem]]:
    members = node.map
    if members is None:
        hint = "write {when: …, then: …}"
        return None, [node.problem(f"rule '{name}' wants a map", hint)]
    problems = [
        node.keys[key].problem(
            f"unknown key '{key}' in rule '{name}'",
            did_you_mean(key, _KEYS) or f"keys: {', '.join(_KEYS)}",
        )
        for key in members
        if key not in _KEYS
    ]
    if not name.isprintable() or len(name) > _MAX_NAME:
        problems.append(
            node.problem(
                f"a rule's name has no control characters, at most {_MAX_NAME}"
            )
        )
    problems += _simple_members(members)
    conditions = Conditions(match_fields=match_fields)
    tree = conditions.read(members["when"]) if "when" in members else ALWAYS
    reader = ActionReader(rule=name, queues=queues, states=states, groups=_groups(tree))
    if "then" in members:
        reader.read(members["then"])
    else:
        problems.append(node.problem(f"rule '{name}' has no 'then'"))
    trials: tuple[Trial, ...] = ()
    if "tests" in members:
        trials, found = read_trials(name, members["tests"], states)
        problems += found
    problems += conditions.problems + reader.problems
    enabled = members.get("enabled")
    if problems or (enabled is not None and enabled.value is False):
        return None, problems
    return Rule(
        name=name,
        origin=node.origin,
        when=tree,
        holds=compile_tree(tree),
        actions=reader.actions,
        trials=trials,
    ), []


def _never_asked(node: Node, name: str, last: Rule) -> Problem:
    text = f"rule '{name}' and those below are never asked"
    why_not = f"rule '{last.name}' ({last.origin}) ends the run for every mail"
    return replace(node.problem(text, why_not), severity=Severity.WARNING)


def _simple_members(members: Mapping[str, Node]) -> list[Problem]:
    problems: list[Problem] = []
    enabled = members.get("enabled")
    if enabled is not None and not isinstance(enabled.value, bool):
        problems.append(
            enabled.problem(
                f"'enabled' wants true or false, not '{enabled.text}'",
                switch_hint(enabled.text),
            )
        )
    description = members.get("description")
    if description is not None and not isinstance(description.value, str):
        problems.append(description.problem("'description' wants text"))
    return problems


def _groups(tree: Tree) -> list[str]:
    """Return the named groups of every pattern in ``tree``."""
    return [
        name
        for test in each_test(tree)
        if test.op is Op.REGEX
        for name in Pattern(str(test.value)).groups
    ]
