"""Texts with ``{{ match.name }}``: compiled at load, rendered at run time.

Jinja2's immutable sandbox with StrictUndefined. The only name is ``match``: the named
groups of the rule's own patterns. A text without ``{{`` and ``{%`` never meets Jinja.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from jinja2.nodes import Template as Tree

_MARKS = ("{{", "{%", "{#")


class UnrenderableError(ValueError):
    """The mail did not give what the text needs."""


class Text:
    """A text that is plain, or a template."""

    def __init__(self, plain: str, template: Template | None = None) -> None:
        self.plain = plain
        self._template = template

    def render(self, groups: Mapping[str, str]) -> str:
        """Return the text with groups filled in; raise UnrenderableError."""
        if self._template is None:
            return self.plain
        try:
            return self._template.render(match=groups)
        except Exception as error:
            # Filters raise whatever they like: TypeError, UndefinedError, overflow.
            raise UnrenderableError(f"'{self.plain}': {error}") from error


def read_text(node: Node, groups: Iterable[str]) -> tuple[Text, list[Problem]]:
    """Compile the text of ``node``; ``groups`` are the names it may use."""
    if not any(mark in node.text for mark in _MARKS):
        return Text(node.text), []
    # Jinja takes 30 ms to import; a site without templates does not pay.
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415

    environment = sandbox()
    try:
        tree = environment.parse(node.text)
        problems = list(_unknown_names(node, tree, sorted(set(groups))))
        return Text(node.text, environment.from_string(tree)), problems
    except TemplateSyntaxError as error:
        return Text(node.text), [
            node.problem(f"in template: {error.message}", "write {{ match.NAME }}")
        ]


def _unknown_names(node: Node, tree: Tree, groups: list[str]) -> Iterable[Problem]:
    from jinja2 import meta, nodes  # noqa: PLC0415

    for name in sorted(meta.find_undeclared_variables(tree) - {"match"}):
        hint = f"did you mean 'match.{name}'?" if name in groups else "use match.NAME"
        yield node.problem(
            f"in template: unknown name '{name}'", hint, node.text.find(name)
        )
    for found in tree.find_all((nodes.Getattr, nodes.Getitem)):
        attribute = _attribute(found)
        if attribute is not None and attribute not in groups:
            hint = did_you_mean(attribute, groups) or (
                f"groups: {', '.join(groups)}" if groups else "name it (?P<name>…)"
            )
            yield node.problem(
                f"in template: no pattern of this rule has a group '{attribute}'",
                hint,
                max(0, node.text.find(attribute)),
            )


def _attribute(found: object) -> str | None:
    """Return ``name`` of ``match.name`` or ``match['name']``."""
    from jinja2 import nodes  # noqa: PLC0415

    if not isinstance(found, nodes.Getattr | nodes.Getitem):
        return None
    if not isinstance(found.node, nodes.Name) or found.node.name != "match":
        return None
    if isinstance(found, nodes.Getattr):
        return found.attr
    value = found.arg.value if isinstance(found.arg, nodes.Const) else None
    return value if isinstance(value, str) else None


@functools.cache
def sandbox() -> Environment:
    """Return the sandbox of rules and of letters: plain text, and no unknown name."""
    # Jinja takes 30 ms to import: only who writes templates pays.
    from jinja2 import StrictUndefined  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        # It goes into a mail, a title or a field, never into a page.
        autoescape=False,
        # A letter's; what a rule sets has its blanks folded anyway.
        keep_trailing_newline=True,
    )
