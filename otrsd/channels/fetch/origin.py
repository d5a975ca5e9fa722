"""The envelope of a fetched mail: what the last server wrote above it.

In: octets. Out: the reverse-path of Return-Path and the recipients that Delivered-To,
X-Original-To and Envelope-To name, as far as they are ours. Each field counts where it
stands first: a server writes its own above everything that came with the mail. Where
it writes none, the mail's author may have: he could as well have sent there.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from otrsd.mime.address import mailbox

_HEADER = 64 * 1024
_FIELD = re.compile(
    rb"^(return-path|delivered-to|x-original-to|envelope-to):"
    rb"[ \t]*([^\r\n]{0,1000})",
    re.IGNORECASE | re.MULTILINE,
)
_END = re.compile(rb"\r?\n\r?\n")


def paths(
    content: bytes, is_ours: Callable[[str], bool]
) -> tuple[str, tuple[str, ...]]:
    """Return the reverse-path, empty where none is told, and our recipients."""
    end = _END.search(content, 0, _HEADER)
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(content, 0, end.start() if end else _HEADER):
        text = value.decode("utf-8", "replace").strip()
        found.setdefault(name.lower().decode(), text)
    sender = _address(found.pop("return-path", ""))
    named = (_address(each) for text in found.values() for each in text.split(","))
    return sender, tuple(dict.fromkeys(each for each in named if is_ours(each)))


def _address(text: str) -> str:
    read = mailbox(text.strip().strip("<>"))
    return read.address if read is not None else ""
