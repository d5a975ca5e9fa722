"""Why a condition holds or not, in words: ``subject does not contain 'SPAM'``."""

from __future__ import annotations

from collections.abc import Mapping

from otrsd.language.evaluate import View, compile_tree
from otrsd.language.tree import And, Not, Op, Or, Test, Tree

#: Op → words where it holds, words where it does not.
_WORDS: Mapping[Op, tuple[str, str]] = {
    Op.CONTAINS: ("contains", "does not contain"),
    Op.EQUALS: ("is", "is not"),
    Op.STARTS: ("starts with", "does not start with"),
    Op.ENDS: ("ends with", "does not end with"),
    Op.GLOB: ("matches", "does not match"),
    Op.REGEX: ("matches", "does not match"),
    Op.ADDRESS: ("is", "is not"),
    Op.DOMAIN: ("is at", "is not at"),
    Op.DOMAIN_TREE: ("is at or below", "is not at or below"),
    Op.PRESENT: ("is there", "is absent"),
}
_MANY = 3


def why(tree: Tree, view: View) -> tuple[bool, str]:
    """Return whether ``tree`` holds for the mail, and the words that decide it."""
    if isinstance(tree, Test):
        return _test(tree, view)
    if isinstance(tree, Not):
        holds, words = why(tree.part, view)
        return not holds, words
    found = [why(part, view) for part in tree.parts]
    # One false part decides an And, one true part an Or.
    deciding = not isinstance(tree, And)
    for holds, words in found:
        if holds is deciding:
            return holds, words
    if not found:
        return not deciding, "no condition: every mail"
    if deciding and (words := _none_of(tree, view)):
        return False, words
    return not deciding, _joined([words for _, words in found])


def _none_of(tree: And | Or, view: View) -> str:
    """Return ``subject contains none of 'a', 'b'`` for tests of one kind."""
    tests = [part for part in tree.parts if isinstance(part, Test)]
    kinds = {(test.field, test.op) for test in tests}
    if len(tests) < len(tree.parts) or len(kinds) != 1:
        return ""
    ((field, op),) = kinds
    if op not in _WORDS or op is Op.REGEX or not view.texts(field):
        return ""
    listed = _joined([f"'{test.value}'" for test in tests])
    return f"{field} {_WORDS[op][0]} none of {listed}"


def _test(test: Test, view: View) -> tuple[bool, str]:
    holds = compile_tree(test)(view, {})
    if test.field == "has":
        return holds, f"has {'an' if holds else 'no'} {test.value}"
    if not view.texts(test.field) and test.op is not Op.PRESENT:
        return holds, f"{test.field} is absent"
    words = _WORDS.get(test.op, (str(test.op), f"not {test.op}"))[0 if holds else 1]
    if test.op is Op.PRESENT:
        return holds, f"{test.field} {words}"
    quoted = f"/{test.value}/" if test.op is Op.REGEX else f"'{test.value}'"
    return holds, f"{test.field} {words} {quoted}"


def _joined(parts: list[str]) -> str:
    """Join, but keep the line readable where a list was long."""
    if len(parts) <= _MANY:
        return ", ".join(parts)
    return f"{', '.join(parts[:_MANY])} and {len(parts) - _MANY} more"
