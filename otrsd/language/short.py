"""The short forms of an address, the same in ``when:`` and in searches.

``joe@example.com`` that address · ``@example.com`` that domain · ``example.com`` the
domain and those below · ``*`` and ``?`` make a glob · ``=x`` exactly x · else contains.
"""

from __future__ import annotations

import re

from otrsd.language.tree import Op, Test

_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)+")


def address_test(field: str, text: str) -> Test:
    """Return what the short form ``text`` asks of the address field ``field``."""
    if text.startswith("="):
        return Test(field=field, op=Op.EQUALS, value=text[1:])
    if {"*", "?"} & set(text):
        return glob_test(field, text)
    if text.startswith("@"):
        return Test(field=field, op=Op.DOMAIN, value=text[1:])
    if "@" in text and " " not in text:
        return Test(field=field, op=Op.ADDRESS, value=text)
    if _DOMAIN.fullmatch(text):
        return Test(field=field, op=Op.DOMAIN_TREE, value=text)
    return Test(field=field, op=Op.CONTAINS, value=text)


def glob_test(field: str, text: str) -> Test:
    """Return a glob, or the question for presence where it is only stars."""
    if not text.strip("*"):
        return Test(field=field, op=Op.PRESENT)
    return Test(field=field, op=Op.GLOB, value=text)
