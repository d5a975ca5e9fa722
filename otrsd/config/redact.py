"""A file's text without what only its own readers may know: for the snapshot.

In: the text of one file that reads without a mistake. Out: the same text, line for
line, with ``***`` for every value of a plugin's settings, for ``site.database``, for
every value under a key whose name says that it is a secret, and with no comments (an
old password stands in one). Rules, queues and templates stay word for word: past
decisions are explained by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from otrsd.config.problem import HIDDEN, Source, is_secret

#: Sections in which no key is a secret, though it may sound like one
#: (``header.x-token``).
_PLAIN = frozenset({"rules", "queues", "templates"})
#: Places of which everything is hidden, and how many keys lead into it: the names of
#: plugins stay.
_WHOLE = {("plugins", "settings"): 3, ("site", "database"): 2}
_COMMENT = re.compile(r"(?:(?<=\s)|^)#[^\n]*", re.MULTILINE)
#: In a path of keys: a map whose next scalar is a key; a list.
_KEY_NEXT, _IN_LIST = None, "-"


def redacted(source: Source) -> str:
    """Return the text for the snapshot; nothing of one that is no YAML."""
    kept: list[str] = []
    done = 0
    try:
        for event, hidden in _scalars(source.text):
            if event.start_mark is None or event.end_mark is None:
                return ""
            start, end = event.start_mark.index, event.end_mark.index
            kept.append(_COMMENT.sub("", source.text[done:start]))
            written = source.text[start:end]
            kept.append(_stars(event, written) if hidden else written)
            done = end
    except yaml.YAMLError:
        return ""
    return "".join([*kept, _COMMENT.sub("", source.text[done:])])


def _stars(event: yaml.ScalarEvent, written: str) -> str:
    anchor = f"&{event.anchor} " if event.anchor else ""
    # In quotes: a plain star begins an alias.
    return f'{anchor}"{HIDDEN}"' + "\n" * written.count("\n")


def _scalars(text: str) -> Iterator[tuple[yaml.ScalarEvent, bool]]:
    """Yield every key and value in order, and whether it is to be hidden."""
    # The keys that lead here, one for each open map or list.
    path: list[str | None] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.ScalarEvent):
            yield event, _is_hidden(path)
            if path and path[-1] is _KEY_NEXT:
                path[-1] = event.value
                continue
        elif isinstance(event, yaml.CollectionStartEvent):
            is_map = isinstance(event, yaml.MappingStartEvent)
            path.append(_KEY_NEXT if is_map else _IN_LIST)
            continue
        elif isinstance(event, yaml.CollectionEndEvent):
            path.pop()
        elif not isinstance(event, yaml.AliasEvent):
            continue
        if path and path[-1] is not _IN_LIST:
            path[-1] = _KEY_NEXT


def _is_hidden(path: list[str | None]) -> bool:
    keys = [key for key in path if key is not _KEY_NEXT]
    if not keys or keys[0] in _PLAIN:
        return False
    whole = _WHOLE.get(tuple(keys[:2]))  # type: ignore[arg-type]  # no None left
    return (whole is not None and len(keys) >= whole) or any(map(is_secret, keys))
