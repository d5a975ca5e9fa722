"""How an expectation of the set is held against what we read.

The set's README.md says what each key means; this is that, written as code. Text is
compared in NFC with white space collapsed; a mail's visible text is its plain text
and its HTML without tags.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

Value = dict[str, Any]
_SPACE = re.compile("[\\s\u00a0\u200b]+")
_HIDDEN = re.compile(
    r"<!--.*?-->|<(script|style|head|title)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE
)
_BLOCK = re.compile(r"</?(?:br|p|div|tr|td|li|h\d)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


def plain(text: str) -> str:
    """Return text in the form in which it is compared."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text or "")).strip()


def check(expected: Value, found: Value) -> Iterator[tuple[str, bool]]:
    """Yield each key that the set states, and whether we agree."""
    for key, wanted in expected.items():
        if key in _RULES and wanted is not None:
            yield key, _RULES[key](wanted, found)


def _visible(found: Value) -> str:
    source = _BLOCK.sub(" ", _HIDDEN.sub("", "\n".join(found["html"])))
    return plain("\n".join(found["text"]) + "\n" + html.unescape(_TAG.sub("", source)))


def _in_html(wanted: list[str], found: Value) -> bool:
    source = "\n".join(found["html"])
    either = plain(source), plain(html.unescape(source))
    return all(any(plain(part) in each for each in either) for part in wanted)


def _has_attachments(wanted: list[Value], found: Value) -> bool:
    left = list(found["attachments"])
    for one in wanted:
        same = next((each for each in left if _is_same(one, each)), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _is_same(wanted: Value, found: Value) -> bool:
    name, kind = wanted.get("filename"), wanted.get("content_type")
    return (
        (name is None or plain(name) == plain(found["filename"]))
        and (kind is None or kind.lower() == found["content_type"])
        and all(wanted.get(k) in (None, found[k]) for k in ("size", "md5"))
    )


def _none_in_reply(wanted: list[str], found: Value) -> bool:
    return not any(plain(part) in plain(found["reply_text"]) for part in wanted)


#: Key → the test of what is wanted against what we read.
_RULES: dict[str, Callable[[Any, Value], bool]] = {
    "from_addr": lambda w, f: plain(w).lower() == plain(f["from_addr"]).lower(),
    "from_name": lambda w, f: plain(w).strip('"') == plain(f["from_name"]).strip('"'),
    "subject": lambda w, f: plain(w) == plain(f["subject"]),
    "body_contains": lambda w, f: all(plain(part) in _visible(f) for part in w),
    "body_html_contains": _in_html,
    "attachments": _has_attachments,
    "attachments_count": lambda w, f: len(f["attachments"]) == w,
    "auto_submitted": lambda w, f: f["auto"] is w,
    "bounce": lambda w, f: f["bounce"] is w,
    "spam": lambda w, f: f["spam"] is w,
    "reply_text": lambda w, f: (
        "".join(plain(f["reply_text"]).split()) == "".join(plain(w).split())
    ),
    "reply_contains": lambda w, f: all(plain(p) in plain(f["reply_text"]) for p in w),
    "reply_must_not_contain": _none_in_reply,
    "reply_is_whole_body": lambda _, f: (
        plain(f["reply_text"]) == plain("\n".join(f["text"]))
    ),
    "signature_contains": _none_in_reply,
}
