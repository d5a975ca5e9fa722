"""What 500 rules cost: a mail, a check, a back-test; and what ``otrsd --help`` takes.

:func:`asking` runs the rules over many mails and holds them against a loop that knows
nothing but the texts; both must name the same rules or the run fails.
:func:`checking`, :func:`helping` and :func:`testing_back` time commands on a site of
such rules. CPU seconds, of this process or of the command's.
"""

from __future__ import annotations

import random
import re
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.mails import letters
from bench.site import OTRSD, Site, Wishes, make_site
from bench.talk import say
from bench.waiting import CLOCK
from otrsd.config.problem import Source
from otrsd.config.yaml import read
from otrsd.language.rules import Rules, compile_rules
from otrsd.language.trying import seen
from otrsd.mime.parse import parse
from otrsd.model.mail import Mail
from otrsd.postmaster.backtest import backtest
from otrsd.testing import Site as Desk

RULES, MAILS, TIMES = 500, 10_000, 20
#: Of a hundred rules.
_ADDRESSES, _SUBJECTS, _BODIES = 40, 30, 15
_QUEUES = ("support", "billing", "junk")


class DifferentHitsError(Exception):
    """The rules and the plain loop don't name the same rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One rule, as YAML and as a plain function of a mail."""

    name: str
    when: str
    holds: Callable[[Mail], bool]
    #: A mail for which it holds, as ``mail:`` of a test.
    example: str


def specs(count: int, seed: int) -> list[Spec]:
    """Return so many rules; the same ones for the same seed."""
    chance = random.Random(seed)
    words = sorted({w for m in letters(200, seed=seed) for w in _words(m.content)})
    return [_spec(chance, words, number) for number in range(count)]


def _words(content: bytes) -> set[str]:
    return set(re.findall(r"[a-zäöüß]{4,12}", parse(content).text.lower()))


def _spec(chance: random.Random, words: Sequence[str], number: int) -> Spec:
    kind, name, word = number % 100, f"rule {number}", chance.choice(words)
    if kind < _ADDRESSES:
        who = chance.randrange(MAILS)
        address = f"person{who}@c{who}.example"
        return Spec(
            name=name,
            when=f"from: {address}",
            holds=lambda mail: _author(mail) == address,
            example=f"from: {address}",
        )
    if kind < _ADDRESSES + _SUBJECTS:
        return Spec(
            name=name,
            when=f"subject: {word}",
            holds=lambda mail: word in mail.subject.lower(),
            example=f"subject: {word}",
        )
    if kind < _ADDRESSES + _SUBJECTS + _BODIES:
        return Spec(
            name=name,
            when=f"body: {word}",
            holds=lambda mail: word in mail.text.lower(),
            example=f"body: {word}",
        )
    pattern = re.compile(rf"{word}[ ,.]+\w+ing?\b", re.IGNORECASE)
    return Spec(
        name=name,
        when=f"subject: '/{word}[ ,.]+\\w+ing?\\b/i'",
        holds=lambda mail: pattern.search(mail.subject) is not None,
        example=f"subject: {word} doing",
    )


def _author(mail: Mail) -> str:
    return mail.author.address.lower() if mail.author else ""


def as_yaml(rules: Sequence[Spec]) -> str:
    """Return the rules as they stand in a file, a test beside each."""
    lines = ["rules:"]
    for number, spec in enumerate(rules):
        queue = _QUEUES[number % len(_QUEUES)]
        lines += [
            f"  {spec.name}:",
            f"    when: {{{spec.when}}}",
            f"    then: {{tag: t{number}, queue: {queue}}}",
            f"    tests: [{{mail: {{{spec.example}}}}}]",
        ]
    return "\n".join(lines) + "\n"


def compiled(text: str) -> Rules:
    """Return the rules of a file."""
    root = read(Source(name="rules.yaml", text=text)).root
    node = (root.map or {})["rules"]
    named = {k: v.named_by(node.keys[k]) for k, v in (node.map or {}).items()}
    rules = compile_rules(named, queues=_QUEUES)
    if rules.problems:
        raise AssertionError(rules.problems[0].render())
    return rules


def asking() -> dict[str, float | None]:
    """Ask every rule of every mail, twice: by us, and by the plain loop."""
    made = specs(RULES, seed=5)
    rules = compiled(as_yaml(made))
    pairs = [seen(letter.content) for letter in letters(MAILS, seed=6)]
    parsed = [mail for mail, _ in pairs]
    began = time.process_time()
    ours = [
        [each.rule for each in rules.run(mail, envelope)] for mail, envelope in pairs
    ]
    spent = time.process_time() - began
    began = time.process_time()
    plain = [[spec.name for spec in made if spec.holds(mail)] for mail in parsed]
    naive = time.process_time() - began
    if ours != plain:
        wrong = next(n for n, each in enumerate(ours) if each != plain[n])
        raise DifferentHitsError(f"mail {wrong}: {ours[wrong]} and {plain[wrong]}")
    hits, each = sum(map(len, ours)), naive / MAILS * 1000
    say(f"   {hits} hits; the plain loop needs {each:.3f} ms a mail")
    return {
        "cpu_ms_per_mail": spent / MAILS * 1000,
        "ratio_to_naive": spent / naive,
    }


def commands(folder: Path) -> dict[str, float | None]:
    """Time ``otrsd check`` of many rules with tests, and ``otrsd --help``."""
    site = make_site(folder, Wishes(more=as_yaml(specs(RULES, seed=5))))
    return {
        "check_s": min(_spent(site, "check") for _ in range(3)),
        "help_ms": statistics.median(_spent(site, "--help") for _ in range(TIMES))
        * 1000,
    }


def _spent(site: Site, *arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*OTRSD, "-c", str(site.config), *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def testing_back(folder: Path) -> dict[str, float | None]:
    """Try changed rules on stored mails, with one process."""
    count = 2000
    desk = Desk(folder / "site")
    made = specs(RULES, seed=5)
    desk.configure("queues: {support: , billing: , junk: }\n" + as_yaml(made))
    for letter in letters(count, seed=6):
        desk.deliver(letter.content)
    after = compiled(as_yaml(made[1:]))
    app = desk.app
    began = CLOCK.monotonic()
    since = app.clock.now() - timedelta(days=1)
    senders = app.postmaster().senders
    moved = list(backtest(app.database, senders, app.rules, after, since))
    seconds = CLOCK.monotonic() - began
    desk.close()
    say(f"   {len(moved)} of {count} mails would land elsewhere")
    return {"backtest_mails_per_s": count / seconds}
