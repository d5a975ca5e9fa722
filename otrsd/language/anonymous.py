"""A real mail → a test for a rule, with its people made anonymous.

Addresses become ``person1@domain1.example`` … , the same one everywhere; addresses
of domains that a rule names stay, or the test would test nothing. The text is kept up
to 40 lines, as rules ask for its words: read it before you publish it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from otrsd.language.landing import Landing, landing
from otrsd.language.rules import Rules
from otrsd.language.tree import each_test
from otrsd.language.trials import SWITCHES
from otrsd.language.trying import seen
from otrsd.model.mail import Mail
from otrsd.model.ticket import PRIORITIES

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LINES = 40


def as_test(octets: bytes, rules: Rules) -> str:
    """Return one item of a ``tests:`` list as YAML; expected is what happens now."""
    mail, envelope = seen(octets)
    landed = landing(rules.run(mail, envelope))
    names = _Names(rules)
    test = {"mail": dict(_fields(mail, names)), "expect": _expected(landed)}
    head = f"# {', '.join(landed.rules) or 'no rule'} matched\n"
    text = yaml.safe_dump([test], allow_unicode=True, sort_keys=False, width=88)
    return head + str(text)


class _Names:
    """Gives every address another one."""

    def __init__(self, rules: Rules) -> None:
        told = {
            str(test.value).lower()
            for rule in rules.rules
            for test in each_test(rule.when)
        }
        self._kept = " ".join(told)
        self._given: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Return the text with its addresses replaced."""
        return _ADDRESS.sub(self._another, text)

    def _another(self, found: re.Match[str]) -> str:
        address = found[0].lower()
        if address.rpartition("@")[2] in self._kept:
            return found[0]
        number = len(self._given) + 1
        return self._given.setdefault(address, f"person{number}@domain{number}.example")


def _fields(mail: Mail, names: _Names) -> Iterator[tuple[str, object]]:
    if mail.author is not None:
        yield "from", names(mail.author.address)
    for word, boxes in (("to", mail.to), ("cc", mail.cc)):
        if boxes:
            yield word, [names(each.address) for each in boxes]
    yield "subject", names(mail.subject)
    for name in ("List-Id", "Auto-Submitted", "Precedence"):
        value = mail.header(name)
        if value:
            yield f"header.{name.lower()}", names(value)
    yield "body", names("\n".join(mail.text.splitlines()[:_LINES]))
    attached = [part.filename for part in mail.parts if part.filename]
    if attached:
        yield "attachments", attached


def _expected(landed: Landing) -> dict[str, object]:
    expected: dict[str, object] = {"matched": bool(landed.rules)}
    for name, value in landed.values.items():
        if name in SWITCHES:
            expected[name] = True
        elif name == "priority":
            expected[name] = PRIORITIES[int(value)]
        else:
            expected[name] = value
    if landed.tags:
        expected["tags"] = list(landed.tags)
    if landed.fields:
        expected["fields"] = dict(landed.fields)
    return expected
