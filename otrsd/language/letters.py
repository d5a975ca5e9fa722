"""Templates of letters: text with ``{{ ticket.number }}`` in it → subject and text.

In: the files that come with otrsd (``otrsd/templates/NAME.LANGUAGE.txt``, a line
``Subject: …``, an empty line, the text) and the site's section ``templates:`` as
located values. Out: :class:`Letters`; :meth:`Letters.render` takes values only, so that
a mail that quotes ``{{ … }}`` is never read as a template (Jinja2, sandboxed,
StrictUndefined, no second pass). Mistakes of the site's templates are problems with
their place: unknown names as well as broken syntax.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otrsd.config.fit import fit
from otrsd.config.models import LetterTemplate
from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node
from otrsd.errors import InputError, NotFoundError
from otrsd.language.template import sandbox

if TYPE_CHECKING:
    from jinja2 import Template

#: Names a template may use: group → members; an empty tuple is a plain value.
NAMES: Mapping[str, tuple[str, ...]] = {
    "ticket": ("number", "title", "queue", "state", "priority", "owner", "tags"),
    "customer": ("address", "name"),
    "site": ("name", "url", "ticket_hook"),
    "agent": ("login",),
    "fields": (),
}
#: What the templates of mails to ``site.admin`` know besides.
_OF_ADMIN = ("what", "reason", "look")
#: The language that every shipped template has.
_FALLBACK = "en"
#: Characters of a rendered text.
_LONGEST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A template, filled in."""

    #: Empty where the template has none.
    subject: str
    text: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    subject: Template
    text: Template
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """All templates of a site."""

    compiled: Mapping[str, _Compiled]
    problems: tuple[Problem, ...] = field(default=())

    def names(self) -> tuple[str, ...]:
        """Return the names of all templates, without their languages."""
        return tuple(sorted({_split(name)[0] for name in self.compiled}))

    def render(
        self, name: str, language: str, values: Mapping[str, object]
    ) -> Rendered:
        """Fill a template in; raise NotFoundError, or InputError if it fails."""
        wanted = (f"{name}.{language}", name, f"{name}.{_FALLBACK}")
        found = next((self.compiled[n] for n in wanted if n in self.compiled), None)
        if found is None:
            known = ", ".join(self.names())
            raise NotFoundError(f"there is no template '{name}'; known: {known}")
        try:
            subject = found.subject.render(values)
            text = found.text.render(values)
        except Exception as error:
            # Filters raise whatever they like: TypeError, UndefinedError, overflow.
            raise InputError(f"template '{name}': {error}") from error
        if len(text) > _LONGEST:
            raise InputError(f"template '{name}' gives more than {_LONGEST} characters")
        return Rendered(subject=subject, text=text, language=found.language or language)


def compile_letters(
    nodes: Mapping[str, Node], *, queues: Mapping[str, Node] | None = None
) -> Letters:
    """Compile the shipped templates and, over them, those of the site.

    ``queues``: located values, for a queue that names a template there is not.
    """
    compiled: dict[str, _Compiled] = dict(_shipped())
    problems: list[Problem] = []
    own: dict[str, _Compiled] = {}
    for name, node in nodes.items():
        model, found = fit(LetterTemplate, node, f"templates.{name}")
        problems.extend(found)
        if model is None:
            continue
        wrong = list(_mistakes(name, node))
        problems.extend(wrong)
        if not wrong:
            own[name] = _compiled(model.subject, model.text, _split(name)[1])
    # A template of the site replaces the shipped ones of that name, whatever their
    # language: half of a text in another voice helps nobody.
    replaced = {name for name in own if not _split(name)[1]}
    kept = {
        name: each for name, each in compiled.items() if _split(name)[0] not in replaced
    }
    known = Letters(compiled={**kept, **own}).names()
    problems.extend(_unnamed(queues or {}, {*known, *(_split(n)[0] for n in nodes)}))
    return Letters(compiled={**kept, **own}, problems=tuple(problems))


def _unnamed(queues: Mapping[str, Node], known: Collection[str]) -> Iterator[Problem]:
    for queue, node in queues.items():
        for key in ("auto_response", "auto_reject", "signature"):
            place = (node.map or {}).get(key)
            if place is not None and place.text and place.text not in known:
                names = ", ".join(sorted(known))
                yield place.problem(
                    f"queue '{queue}': there is no template '{place.text}'",
                    did_you_mean(place.text, known) or f"known: {names}",
                )


def _split(name: str) -> tuple[str, str]:
    """Return name and language of ``received.de``."""
    base, _, language = name.partition(".")
    return base, language


@functools.cache
def _shipped() -> Mapping[str, _Compiled]:
    folder = Path(__file__).resolve().parent.parent / "templates"
    found = {}
    for file in sorted(folder.glob("*.txt")):
        text = file.read_text("utf-8")
        subject = ""
        if text.startswith("Subject:"):
            subject, _, text = text.removeprefix("Subject:").partition("\n")
            text = text.removeprefix("\n")
        name = file.name.removesuffix(".txt")
        found[name] = _compiled(subject.strip(), text, _split(name)[1])
    return found


def _compiled(subject: str, text: str, language: str) -> _Compiled:
    environment = sandbox()
    return _Compiled(
        subject=environment.from_string(subject),
        text=environment.from_string(text),
        language=language,
    )


def _mistakes(name: str, node: Node) -> Iterator[Problem]:
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 - see sandbox

    allowed = {**NAMES, **dict.fromkeys(_OF_ADMIN, ())} if name == "admin" else NAMES
    for part in (node.map or {}).values():
        try:
            tree = sandbox().parse(part.text)
        except TemplateSyntaxError as error:
            yield part.problem(f"in template: {error.message}")
            continue
        yield from _unknown(part, tree, allowed)


def _unknown(
    node: Node, tree: Any, allowed: Mapping[str, tuple[str, ...]]
) -> Iterator[Problem]:
    from jinja2 import meta, nodes  # noqa: PLC0415 - see sandbox

    for name in sorted(meta.find_undeclared_variables(tree) - set(allowed)):
        yield node.problem(
            f"in template: unknown name '{name}'",
            did_you_mean(name, allowed) or f"known: {', '.join(allowed)}",
        )
    for found in tree.find_all(nodes.Getattr):
        group = found.node.name if isinstance(found.node, nodes.Name) else ""
        members = allowed.get(group, ())
        if members and found.attr not in members:
            yield node.problem(
                f"in template: '{group}' has no '{found.attr}'",
                did_you_mean(found.attr, members) or f"known: {', '.join(members)}",
            )
