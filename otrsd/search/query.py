"""Tree of the search language → what an index is asked (:mod:`otrsd.search.backend`).

Only tests on words can be asked there; everything else is SQL's. A tree that mixes
both is taken apart by :mod:`otrsd.desk.search`.
"""

from __future__ import annotations

from collections.abc import Mapping

from otrsd.language.tree import (
    ANYWHERE,
    WORDS,
    And,
    Not,
    Op,
    Or,
    Test,
    Tree,
    each_test,
)
from otrsd.search.backend import (
    All,
    Beginning,
    Either,
    Part,
    Wanted,
    Without,
    Words,
)

#: Field of a test on words → where the words are looked for.
PARTS: Mapping[str, Part] = {
    ANYWHERE: Part.ANYWHERE,
    "subject": Part.SUBJECT,
    "body": Part.BODY,
    "from": Part.SENDER,
    "to": Part.RECIPIENTS,
    "attachment": Part.ATTACHMENTS,
}


def is_words(tree: Tree) -> bool:
    """Tell whether an index alone can answer ``tree``."""
    return all(test.op in WORDS for test in each_test(tree))


def has_words(tree: Tree) -> bool:
    """Tell whether an index is needed to answer ``tree``."""
    return any(test.op in WORDS for test in each_test(tree))


def wanted(tree: Tree) -> Wanted:
    """Return what to ask; ``tree`` asks for words only."""
    match tree:
        case And():
            return All(parts=tuple(map(wanted, tree.parts)))
        case Or():
            return Either(parts=tuple(map(wanted, tree.parts)))
        case Not():
            return Without(part=wanted(tree.part))
        case Test():
            return _leaf(tree)


def _leaf(test: Test) -> Wanted:
    text, part = str(test.value), PARTS[test.field]
    if test.op is Op.PREFIX:
        return Beginning(text=text, part=part)
    return Words(text=text, part=part, exact=test.op is Op.PHRASE)
