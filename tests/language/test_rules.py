"""Rules run from top to bottom and say why."""

from __future__ import annotations

from collections.abc import Callable

from otrsd.language.rules import Rules
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail

Make = Callable[[str], Rules]


def test_groups_of_the_match_go_into_fields_and_title(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    compiled = rules(
        "invoice:\n"
        "  when: {subject: '/(?P<number>RE-\\d+)(?P<rest>x)?/'}\n"
        "  then:\n"
        "    fields: {invoice: '{{ match.number }}'}\n"
        "    title: Invoice {{ match.number }} {{ match.rest | default('?') }}\n"
        "    tag: [invoice, 'n-{{ match.number | lower }}']\n"
    )
    (applied,) = compiled.run(mail, envelope, None)
    assert applied.origin == "rules.yaml:1"
    assert applied.changes.fields == {"invoice": "RE-20417"}
    assert applied.changes.title == "Invoice RE-20417 ?"
    assert applied.changes.tags == ("invoice", "n-re-20417")


def test_a_group_that_took_no_part_is_left_out_with_a_note(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    compiled = rules(
        "x: {when: {subject: '/RE(?P<no>q)?/'}, "
        "then: {fields: {n: '{{ match.no }}'}, queue: billing}}"
    )
    (applied,) = compiled.run(mail, envelope, None)
    assert applied.changes.fields == {}
    assert applied.changes.queue == "billing"
    assert "fields.n left out" in applied.notes[0]


def test_text_of_a_mail_is_never_a_template(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    compiled = rules(
        "x: {when: {body: '/(?P<line>host.*)/'}, then: {title: 'A {{ match.line }}'}}"
    )
    evil = type(mail)(sha256="0", size=1, text="host {{ 7 * 7 }}\r\nBcc: x")
    (applied,) = compiled.run(evil, envelope, None)
    assert applied.changes.title == "A host {{ 7 * 7 }}"


def test_discard_hold_and_stop_end_the_run(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    for then in ("discard", "hold", "stop", "{discard: a reason}", "{stop: true}"):
        compiled = rules(f"a: {{then: {then}}}\nb: {{then: {{tag: late}}}}")
        (applied,) = compiled.run(mail, envelope, None)
        assert (applied.rule, applied.stop) == ("a", True)


def test_a_released_mail_is_shown_to_the_rules_below(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("a: {then: {hold: odd}}\nb: {then: stop}\nc: {then: {tag: x}}")
    applied = compiled.run(mail, envelope, released=True)
    assert [(a.rule, a.stop) for a in applied] == [("a", False), ("b", True)]
    tried = compiled.explain(mail, envelope, released=True)
    assert [t.matched for t in tried] == [True, True, False]


def test_a_rule_that_does_not_count_does_not_end_the_run(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("a: {then: discard}\nb: {then: {tag: x}}")
    applied = compiled.run(mail, envelope, without=["a"])
    assert [a.rule for a in applied] == ["a", "b"]
    tried = compiled.explain(mail, envelope, without=["a"])
    assert [t.matched for t in tried] == [True, True]


def test_every_match_is_returned_in_order(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("a: {then: {queue: junk}}\nb: {then: [{queue: support}, stop]}")
    applied = compiled.run(mail, envelope, None)
    assert [(a.rule, a.changes.queue) for a in applied] == [
        ("a", "junk"),
        ("b", "support"),
    ]


def test_names_of_priorities_and_types_of_states_are_understood(
    rules: Make, mail: Mail, envelope: Envelope
) -> None:
    compiled = rules("a: {then: {priority: Very High, state: closed}}")
    (applied,) = compiled.run(mail, envelope, None)
    assert applied.changes.priority == 5
    assert applied.changes.state == "closed successful"


def test_a_rule_that_is_switched_off_is_not_there(rules: Make) -> None:
    assert rules("a: {enabled: false, then: stop}").rules == ()


def test_a_rule_with_a_problem_is_left_out(rules: Make) -> None:
    compiled = rules("a: {then: {queue: nowhere}}\nb: {then: stop}")
    assert [rule.name for rule in compiled.rules] == ["b"]
    assert len(compiled.problems) == 1


def test_explain_says_why_in_words(rules: Make, mail: Mail, envelope: Envelope) -> None:
    compiled = rules(
        "spam: {when: {subject: SPAM}, then: discard}\n"
        "words: {when: {subject: [x1, x2]}, then: discard}\n"
        "list: {when: {header.x-list: '*'}, then: discard}\n"
        "not: {when: {not: {to: example.com}}, then: discard}\n"
        "all: {then: stop}\n"
        "late: {then: {tag: late}}\n"
    )
    tried = compiled.explain(mail, envelope, None)
    assert [t.why for t in tried] == [
        "subject does not contain 'SPAM'",
        "subject contains none of 'x1', 'x2'",
        "header.x-list is absent",
        "to is at or below 'example.com'",
        "no condition: every mail",
        "not asked: rule 'all' ended the run",
    ]
    assert [t.matched for t in tried] == [False, False, False, False, True, False]
