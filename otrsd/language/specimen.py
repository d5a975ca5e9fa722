"""A mail for trying a rule, from the few words that matter of it.

``mail: {from: …, subject: …}`` is a map of header fields, ``body`` and names of
``attachments``; ``raw:`` is a whole mail as text. Out: octets (RFC 5322), which are
parsed like any that came in. No value can start a header field of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node

#: Word of the map → header field.
_FIELDS: Mapping[str, str] = {
    "from": "From",
    "to": "To",
    "cc": "Cc",
    "reply_to": "Reply-To",
    "subject": "Subject",
    "message_id": "Message-ID",
    "in_reply_to": "In-Reply-To",
    "references": "References",
}
_WORDS = (*_FIELDS, "body", "html", "attachments", "header.NAME")
_HEADER = re.compile(r"header\.([!-9;-~]+)")
_BOUNDARY = "otrsd-specimen"


def read_specimen(name: str, node: Node) -> tuple[bytes, list[Problem]]:
    """Return the octets of ``mail:`` or ``raw:``; none for ``file:``."""
    if name == "mail":
        return _from_map(node)
    if not node.is_scalar or not node.text.strip():
        hint = "raw: | and the mail below" if name == "raw" else "file: tests/one.eml"
        return b"", [node.problem(f"'{name}' wants text", hint)]
    return (node.text.encode() if name == "raw" else b""), []


def _from_map(node: Node) -> tuple[bytes, list[Problem]]:
    if not node.map:
        hint = "write {from: joe@example.com, subject: hello}"
        return b"", [node.problem("'mail' wants a map of header fields", hint)]
    problems: list[Problem] = []
    headers: list[str] = []
    for word, value in node.map.items():
        header = _HEADER.fullmatch(word)
        name = _FIELDS.get(word) or (header[1] if header else "")
        if name:
            headers.append(f"{name}: {_joined(value)}")
        elif word not in _WORDS:
            hint = did_you_mean(word, _WORDS) or f"one of {', '.join(_WORDS)}"
            text = f"a mail to try has no '{word}'"
            problems.append(node.keys[word].problem(text, hint))
    return _written(headers, node.map), problems


def _joined(node: Node) -> str:
    items = node.list if node.list is not None else (node,)
    return ", ".join(" ".join(item.text.split()) for item in items)


def _written(headers: list[str], members: Mapping[str, Node]) -> bytes:
    def text(word: str) -> str:
        return members[word].text if word in members else ""

    parts = [("text/plain", "", text("body"))]
    if "html" in members:
        parts.append(("text/html", "", text("html")))
    attached = members.get("attachments")
    if attached is not None:
        items = attached.list if attached.list is not None else (attached,)
        parts += [("application/octet-stream", item.text, "") for item in items]
    if len(parts) == 1:
        lines = [*headers, "Content-Type: text/plain; charset=utf-8", "", parts[0][2]]
        return "\n".join(lines).encode()
    kind = "alternative" if attached is None else "mixed"
    lines = [*headers, f"Content-Type: multipart/{kind}; boundary={_BOUNDARY}", ""]
    for content_type, filename, body in parts:
        lines += [f"--{_BOUNDARY}", f"Content-Type: {content_type}; charset=utf-8"]
        if filename:
            name = " ".join(filename.split()).replace('"', "'")
            lines.append(f'Content-Disposition: attachment; filename="{name}"')
        lines += ["", body]
    return "\n".join([*lines, f"--{_BOUNDARY}--", ""]).encode()
