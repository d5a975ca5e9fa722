"""Names of attachments, made safe to show and to save under.

In: a name as a stranger wrote it. Out: a name of one path component without control
characters, bidi overrides, or a meaning to a shell or an operating system; empty if
nothing is left. The name is only data: content is stored under its hash.
"""

from __future__ import annotations

import re
import unicodedata

from otrsd.mime.limits import FILENAME_CHARACTERS

_SEPARATORS = re.compile("[/\\\\\u2044\u2215\uff0f\uff3c\u29f8]")
_UNSAFE = re.compile('[<>:"|?*\ufffd]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?\Z")
_LONGEST_EXTENSION = 20


def clean_filename(name: str) -> str:
    """Return ``name`` as one safe path component."""
    # Anything longer than a path may be is not a name any more.
    name = unicodedata.normalize("NFC", name[-4096:])
    name = "".join(" " if c.isspace() else c for c in name if _is_shown(c))
    name = _SEPARATORS.split(name.strip())[-1]
    name = _UNSAFE.sub("_", name)
    name = " ".join(name.split()).lstrip(".-~ ").rstrip(". ")
    if _RESERVED.match(name):
        name = f"_{name}"
    return _cut(name)


def distinct(name: str, taken: set[str]) -> str:
    """Return ``name``, numbered if it is taken: ``a.txt``, ``a (2).txt`` and so on."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _LONGEST_EXTENSION:
        stem, dot, extension = name, "", ""
    number, candidate = 1, name
    while candidate.lower() in taken:
        number += 1
        end = f" ({number}){dot}{extension}"
        candidate = stem[: FILENAME_CHARACTERS - len(end)] + end
    taken.add(candidate.lower())
    return candidate


def _is_shown(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] != "C"


def _cut(name: str) -> str:
    if len(name) <= FILENAME_CHARACTERS:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _LONGEST_EXTENSION:
        return name[:FILENAME_CHARACTERS]
    return stem[: FILENAME_CHARACTERS - len(extension) - 1] + dot + extension
