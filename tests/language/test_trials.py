"""The tests beside a rule say what goes wrong, and where."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otrsd.language.rules import Rules
from otrsd.language.specimen import read_specimen
from otrsd.language.trying import run_trials
from otrsd.mime.parse import parse

Make = Callable[[str], Rules]
SITE = """\
vip:
  when: {{from: ceo@big.example}}
  then: {{priority: high, tag: vip, fields: {{level: gold}}}}
  tests:
    - {test}
invoices:
  when: {{subject: invoice}}
  then: {{queue: billing}}
away:
  when: {{kind: vacation}}
  then: {{tag: away}}
rest:
  when: {{subject: casino}}
  then: {{discard: an advertisement}}
list:
  when: {{header.list-id: "*"}}
  then: no_auto_reply
"""


def outcome(make: Make, test: str) -> str:
    rules = make(SITE.format(test=test))
    assert [problem.text for problem in rules.problems] == []
    (tried,) = run_trials(rules, lambda _: b"From: ceo@big.example\n\nx")
    return tried.problem.text.partition("'vip'")[2] if tried.problem else ""


@pytest.mark.parametrize(
    "test",
    [
        "{mail: {from: CEO@big.example}}",
        "{mail: {from: ceo@big.example}, expect: {priority: high, tags: [vip]}}",
        "{mail: {from: ceo@big.example}, expect: {fields: {level: gold}}}",
        "{mail: {from: a@b.example}, expect: {matched: false}}",
        "{mail: {from: ceo@big.example, subject: Invoice}, expect: {queue: billing}}",
        "{mail: {from: ceo@big.example, subject: casino}, expect: {discard: true}}",
        "{mail: {from: ceo@big.example, header.x-a: b}, expect: {hold: false}}",
        "{mail: {from: CEO@big.example, header.list-id: b}, expect: {tags: vip}}",
        '{raw: "From: ceo@big.example\\nList-Id: b", expect: {no_auto_reply: true}}',
        "{mail: {from: ceo@big.example}, expect: {no_auto_reply: false}}",
        '{raw: "From: ceo@big.example\\nX-Autoreply: 1\\n\\nx", expect: {tags: away}}',
        '{raw: "From: ceo@big.example\\n\\nHello"}',
        "{file: one.eml, expect: {tags: vip}}",
    ],
)
def test_what_is_as_expected_passes(rules: Make, test: str):
    assert outcome(rules, test) == ""


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (
            "{mail: {from: a@b.example}}",
            " fails: it did not match: from is not 'ceo@big.example'",
        ),
        (
            "{mail: {from: ceo@big.example}, expect: {matched: false}}",
            " fails: it matched",
        ),
        (
            "{mail: {from: ceo@big.example}, expect: {priority: low}}",
            " fails: priority is high by rule 'vip', not low",
        ),
        (
            "{mail: {from: ceo@big.example, subject: invoice}, expect: {queue: junk}}",
            " fails: queue is 'billing' by rule 'invoices', not 'junk'",
        ),
        (
            "{mail: {from: ceo@big.example}, expect: {discard: true, tags: [x]}}",
            " fails: discard is not set, not true; tag 'x' is missing",
        ),
        (
            "{mail: {from: ceo@big.example}, expect: {fields: {level: tin}}}",
            " fails: field level is 'gold', not 'tin'",
        ),
    ],
)
def test_what_differs_is_told_with_whose_doing_it_was(
    rules: Make, test: str, said: str
):
    assert outcome(rules, test) == said


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("{mail: {from: x}, raw: y}", "a test wants one of mail, raw and file"),
        ("{expect: {queue: billing}}", "a test wants one of mail, raw and file"),
        ("{mail: {form: x}}", "a mail to try has no 'form'"),
        ("{mail: {}}", "'mail' wants a map of header fields"),
        ("{mail: {from: x}, expects: {}}", "a test has no 'expects'"),
        ("{mail: {from: x}, expect: {quue: y}}", "nothing to expect of 'quue'"),
        ("{mail: {from: x}, expect: {}}", "'expect' wants a map"),
        (
            "{mail: {from: x}, expect: {discard: spam}}",
            "'discard' wants true or false here",
        ),
        ("{mail: {from: x}, expect: {priority: soon}}", "there is no priority 'soon'"),
        ("{mail: {from: x}, expect: {state: gone}}", "there is no state 'gone'"),
        ("{raw: ''}", "'raw' wants text"),
    ],
)
def test_a_test_with_a_mistake_is_an_error_of_its_own(
    rules: Make, test: str, said: str
):
    made = rules(SITE.format(test=test))
    assert [problem.text for problem in made.problems] == [said]


def test_a_file_that_is_not_there_fails_its_test(rules: Make):
    def absent(name: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", name)

    (tried,) = run_trials(rules(SITE.format(test="{file: no.eml}")), absent)
    assert tried.problem
    assert tried.problem.text.endswith(
        "no.eml can't be read: No such file or directory"
    )


def test_a_specimen_is_a_mail_like_any_other(specimen: Callable[[str], bytes]):
    mail = parse(
        specimen(
            "{from: 'Jörg <j@x.example>', subject: \"Größe\\nBcc: evil@x.example\", "
            "body: Straße, html: <b>b</b>, attachments: [a.pdf, 'b\".txt']}"
        )
    )
    assert (mail.subject, mail.header("Bcc")) == ("Größe Bcc: evil@x.example", None)
    assert [part.filename for part in mail.parts if part.is_attachment] == [
        "a.pdf",
        "b'.txt",
    ]


@pytest.fixture
def specimen() -> Callable[[str], bytes]:
    from otrsd.config.problem import Source
    from otrsd.config.yaml import read

    def made(text: str) -> bytes:
        octets, problems = read_specimen("mail", read(Source(name="x", text=text)).root)
        assert problems == []
        return octets

    return made
