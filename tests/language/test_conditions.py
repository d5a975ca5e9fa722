"""What each form of a condition means, on one mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from otrsd.language.rules import Rules
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail

HOLDS = [
    "subject: rechnung",
    "subject: '=frage zur rechnung nr. re-20417'",
    "subject: [SPAM, Rechnung]",
    "subject: {starts: frage}",
    "subject: {ends: ['-1', '-20417']}",
    "subject: {is: Frage zur Rechnung Nr. RE-20417}",
    "subject: {not: urgent}",
    "subject: {starts: Frage, not: [urgent, spam]}",
    "subject: {regex: 'RE-\\d+$'}",
    "subject: '/rechnung nr\\. (?P<n>\\S+)/i'",
    "subject: '*RE-?????'",
    "subject: 20417",
    "body: STRASSE",
    "body: any time",
    "body: {regex: '(?m)^host: db\\d$'}",
    "from: anna@mail.customer.example",
    "from: ANNA@MAIL.customer.example",
    "from: '@mail.customer.example'",
    "from: customer.example",
    "from: 'anna@*.example'",
    "from: müller",
    "from: '/^anna@/'",
    "to: [accounts@example.com, billing@example.com]",
    "cc: customer.example",
    "envelope.from: mail.customer.example",
    "envelope.to: 'billing+*@example.com'",
    "header.list-id: '*'",
    "header.LIST-ID: news",
    "header.received: from b",
    "not: {header.x-absent: '*'}",
    "header.x-absent: {not: anything}",
    "has: attachment",
    "kind: human",
    "kind: [bounce, human]",
    "kind: {not: vacation}",
    "any: [{subject: SPAM}, {to: example.com}]",
    "all: [{subject: rechnung}, {to: example.com}]",
    "any: {subject: SPAM, to: example.com}",
    "not: {subject: SPAM, to: example.com}",
]
FAILS = [
    "subject: SPAM",
    "subject: '=rechnung'",
    "subject: '/rechnung/'",
    "subject: {not: rechnung}",
    "from: '@customer.example'",
    "from: nna@mail.customer.example",
    "from: '=Anna Müller'",
    "from: '/Anna/'",
    "to: support@example.com",
    "cc: '@example.com'",
    "envelope.to: billing@example.com",
    "header.x-absent: '*'",
    "header.x-absent: '='",
    "header.x-absent: {regex: '.*'}",
    "subject: rechnung, body: nonsense",
    "any: [{subject: SPAM}, {to: example.org}]",
    "not: {subject: rechnung}",
    "not: {has: attachment}",
    "kind: bounce",
    "kind: {not: human}",
]


@pytest.mark.parametrize("when", HOLDS)
def test_it_holds(when: str, matches: Callable[[str], bool]) -> None:
    assert matches(when)


@pytest.mark.parametrize("when", FAILS)
def test_it_does_not_hold(when: str, matches: Callable[[str], bool]) -> None:
    assert not matches(when)


def test_a_doubtful_from_field_is_no_identity(
    rules: Callable[[str], Rules], mail: Mail, envelope: Envelope
) -> None:
    forged = replace(mail, author=None, from_text="ceo@a.example <x@evil.example>")
    for when in ("ceo@a.example", "'@a.example'", "'*@a.example'", "a.example"):
        compiled = rules(f"vip: {{when: {{from: {when}}}, then: {{tag: vip}}}}")
        matched = compiled.run(forged, envelope, None)
        assert not matched, when


def test_a_display_name_can_t_pose_as_an_address(
    rules: Callable[[str], Rules], mail: Mail, envelope: Envelope
) -> None:
    assert mail.author is not None
    posing = replace(mail, author=replace(mail.author, name="ceo@a.example"))
    compiled = rules("vip: {when: {from: /ceo@a.example/}, then: {tag: vip}}")
    assert compiled.run(posing, envelope, None) == ()


def test_the_null_reverse_path_is_an_empty_text(
    rules: Callable[[str], Rules], mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("bounce: {when: {envelope.from: '='}, then: {tag: bounce}}")
    assert compiled.run(mail, replace(envelope, mail_from=""), None)
    assert not compiled.run(mail, envelope, None)


def test_a_plugin_s_field_is_asked_like_any_other(
    matches: Callable[..., bool],
) -> None:
    assert matches("contract: gold", contract=lambda _mail: "Gold")
    assert matches("contract: {not: gold}", contract=lambda _mail: None)
    assert matches("spam.score: 12", **{"spam.score": lambda _mail: 12})


def test_a_body_is_every_alternative(
    rules: Callable[[str], Rules], mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("x: {when: {body: toner}, then: {tag: x}}")
    plain = replace(mail, text="The toner is empty.", html="<p>Look inside.</p>")
    shown = replace(mail, text="Look inside.", html="<p>The <b>ton</b>er is empty.")
    hidden = replace(mail, text="Look inside.", html="<p title=toner>Look inside.")
    assert [bool(compiled.run(m, envelope)) for m in (plain, shown, hidden)] == [
        True,
        True,
        False,
    ]


def test_what_must_not_stand_in_a_body_stands_in_no_alternative(
    rules: Callable[[str], Rules], mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("x: {when: {body: {not: casino}}, then: {tag: x}}")
    posing = replace(mail, text="Dear customer", html="<p>Casino!</p>")
    assert compiled.run(mail, envelope)
    assert not compiled.run(posing, envelope)


def test_lone_surrogates_do_no_harm(
    rules: Callable[[str], Rules], mail: Mail, envelope: Envelope
) -> None:
    odd = replace(mail, text="a\udc80b", subject="\ud800")
    compiled = rules("x: {when: {body: /a.b/, subject: {not: y}}, then: {tag: x}}")
    assert compiled.run(odd, envelope, None)


def test_new_text_is_what_nobody_quotes(
    rules: Callable[[str], Rules], mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("x: {when: {new_text: toner}, then: {tag: x}}")
    quoting = replace(mail, text="Thanks.\n\n> The toner is empty.\n", html="")
    asking = replace(mail, text="The toner is empty.\n\n> Thanks.\n", html="")
    assert [bool(compiled.run(m, envelope)) for m in (quoting, asking)] == [False, True]
