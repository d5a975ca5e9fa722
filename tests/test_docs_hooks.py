"""docs/hooks.md tells every hook as it is, and its examples run."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from otrsd import Envelope
from otrsd.implementations import accepted_names
from otrsd.mime.parse import parse
from otrsd.testing import Site

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/hooks.md").read_text("utf-8")
SECTIONS = {
    part.partition("\n")[0]: part
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
ARGUMENTS = {name: f"{name}({', '.join(a)})" for name, a in accepted_names().items()}


def example(section: str) -> str:
    """Return the first example of a section."""
    return SECTIONS[section].split("```python\n")[1].split("```")[0]


@pytest.mark.parametrize("hook", sorted(ARGUMENTS))
def test_a_hook_is_documented_with_its_exact_arguments(hook: str) -> None:
    section = SECTIONS[ARGUMENTS[hook]]
    assert re.search(r"^\*\*[ADOR]\*\* · .+ → ", section, re.MULTILINE)
    assert re.search(r" · \d+ s · | · once, at start · ", section)


def test_nothing_is_documented_that_does_not_exist() -> None:
    assert {name for name in SECTIONS if "(" in name} == set(ARGUMENTS.values())


@pytest.mark.parametrize("hook", sorted(ARGUMENTS))
def test_a_hook_has_a_caller_and_a_test(hook: str) -> None:
    method = {"screen_mail": "screen", "register_match_fields": "match_fields"}
    call = f"hooks.{method.get(hook, hook)}("
    rooms = (ROOT / "otrsd").rglob("*.py")
    assert any(call in path.read_text("utf-8") for path in rooms)
    tests = (ROOT / "tests/hooks/test_hooks.py").read_text("utf-8")
    assert f'"{hook}"' in tests


def screens(site: Site, mail: Callable[..., bytes]) -> None:
    parts = (
        "--b\nContent-Type: application/octet-stream\n"
        'Content-Disposition: attachment; filename="a.exe"\n\nMZ\n--b--\n'
    )
    content = mail(parts, Content_Type="multipart/mixed; boundary=b")
    assert site.deliver(content).fate == "held"


def names_keys(site: Site, mail: Callable[..., bytes]) -> None:
    hooks = site.app.hooks
    envelope = Envelope(received_at=site.clock.now())
    found = hooks.ticket_keys(parse(mail(X_Order="1")), envelope)
    assert ("example", ("order 1",), "") in [
        (answer.plugin, answer.value, answer.failure) for answer in found
    ]


def observes(site: Site, mail: Callable[..., bytes]) -> None:
    site.deliver(mail())
    site.pass_time(timedelta(seconds=1))
    found = (p.instance for p in site.app.hooks.plugins if p.name == "example")
    assert len(vars(next(found))["told"]) == 1


def finds(site: Site, mail: Callable[..., bytes]) -> None:
    first, second = (site.deliver(mail(X_Order="1")) for _ in "12")
    assert first.ticket_id == second.ticket_id


def routes(site: Site, mail: Callable[..., bytes]) -> None:
    site.configure("queues: {support: {}, billing: {}}\n")
    assert site.deliver(mail(Subject="Invoice")).queue == "billing"


def amends(site: Site, mail: Callable[..., bytes]) -> None:
    outcome = site.deliver(mail(From="ceo@gold.example"))
    assert site.ticket(outcome.ticket_id).priority == 4


def reminds(site: Site, mail: Callable[..., bytes]) -> None:
    outcome = site.deliver(mail())
    site.pass_time(timedelta(days=1, seconds=1))
    notes = [article.text for article in site.articles(outcome.ticket_id or 0)]
    assert "Nobody has closed this for a day." in notes


def matches(site: Site, mail: Callable[..., bytes]) -> None:
    site.configure(
        "rules:\n  one file: {when: {attachments: '1'}, then: {priority: high}}\n"
    )
    parts = (
        "--b\nContent-Type: text/plain\n"
        "Content-Disposition: attachment; filename=a.txt\n\nx\n--b--\n"
    )
    outcome = site.deliver(mail(parts, Content_Type="multipart/mixed; boundary=b"))
    assert site.ticket(outcome.ticket_id).priority == 4


def believes(site: Site, mail: Callable[..., bytes]) -> None:
    site.configure("plugins: {settings: {example: {source: {channel: pipe}}}}\n")
    outcome = site.deliver(mail(Subject="server down"))
    assert site.ticket(outcome.ticket_id).priority == 5


PROOFS: dict[str, Callable[[Site, Callable[..., bytes]], None]] = {
    "screen_mail(mail, envelope)": screens,
    "ticket_keys(mail, envelope)": names_keys,
    "find_ticket(mail, envelope, tickets)": finds,
    "choose_queue(mail, envelope, queues)": routes,
    "amend_ticket(mail, envelope, draft)": amends,
    "on_due(key, state, tickets)": reminds,
    "on_event(event)": observes,
    "register_match_fields()": matches,
    "Settings": believes,
}


@pytest.mark.parametrize("section", PROOFS)
def test_an_example_runs(
    otrsd_app: Site, make_mail: Callable[..., bytes], section: str
) -> None:
    otrsd_app.plugin("example", example(section))
    PROOFS[section](otrsd_app, make_mail)


def test_every_example_has_its_proof() -> None:
    shown = {name for name, part in SECTIONS.items() if "```python" in part}
    assert shown == {*PROOFS, "Tests"}


def test_the_example_of_a_test_is_green(
    otrsd_app: Site, make_mail: Callable[..., bytes]
) -> None:
    names: dict[str, Any] = {"PLUGIN": example("amend_ticket(mail, envelope, draft)")}
    exec(example("Tests"), names)  # noqa: S102 - our own page
    names["test_gold_customers_come_first"](otrsd_app, make_mail)
