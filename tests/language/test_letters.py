from __future__ import annotations

import pytest

from otrsd.config.problem import Source
from otrsd.config.yaml import read
from otrsd.errors import InputError, NotFoundError
from otrsd.language.letters import Letters, compile_letters

VALUES = {
    "ticket": {"number": "17", "title": "{{ site.name }}{% raise %}"},
    "customer": {"name": "Kim", "address": "kim@customer.example"},
    "site": {"name": "Example", "url": "", "ticket_hook": "Ticket#"},
    "agent": {"login": "joe"},
    "fields": {},
}


def letters(text: str) -> Letters:
    nodes = read(Source(name="t.yaml", text=text)).root.map or {}
    return compile_letters(nodes)


def rendered(text: str, name: str = "mine", language: str = "en") -> str:
    found = letters(text)
    assert [problem.render() for problem in found.problems] == []
    return found.render(name, language, VALUES).text


def test_a_value_is_never_a_template():
    text = rendered("mine: {text: '{{ ticket.title }}'}")
    assert text == "{{ site.name }}{% raise %}"


def test_the_language_that_fits_best_counts():
    text = "{mine: {text: any}, mine.de: {text: deutsch}}"
    assert rendered(text, language="de") == "deutsch"
    assert rendered(text, language="fr") == "any"


def test_a_template_of_the_site_replaces_the_shipped_ones():
    assert rendered("received: {text: Ours}", "received", "de") == "Ours"


def test_a_template_in_one_language_replaces_that_one():
    text = "received.de: {text: Unser}"
    assert rendered(text, "received", "de") == "Unser"
    assert "number is" in rendered(text, "received", "en")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ticket.number.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ fields.nothing }}",
        "{{ 1 / 0 }}",
        "{% for n in range(99999999) %}x{% endfor %}",
        "{{ 'x' * 200000 }}",
    ],
)
def test_what_a_template_may_not_do_is_an_error(text: str):
    found = letters(f'mine: {{text: "{text}"}}')
    with pytest.raises(InputError, match="template 'mine'"):
        found.render("mine", "en", VALUES)


def test_an_unknown_template_names_the_known_ones():
    with pytest.raises(NotFoundError, match="received"):
        letters("").render("recieved", "en", VALUES)


@pytest.mark.parametrize("text", ["{{ tiket.number }}", "{{ ticket.nummer }}", "{% x"])
def test_a_mistake_is_a_problem_with_its_place(text: str):
    (problem,) = letters(f'mine: {{text: "{text}"}}').problems
    assert (problem.line, problem.file) == (1, "t.yaml")
