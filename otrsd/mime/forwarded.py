"""Forwarded mail: who wrote what somebody passes on.

In: the octets and the readable text of a mail that is a forward by its subject. Out:
the original author, from the enclosed message (RFC 2046 §5.2.1), else from the header
block that clients quote above what they pass on, in English, German, French, Spanish
and Italian. Nothing fails. Whoever writes such a block can write any name: it is worth
what the forwarder is worth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from otrsd.mime.address import mailbox, parse_addresses
from otrsd.mime.fields import raw_text
from otrsd.mime.scan import leaves, scan
from otrsd.model.mail import Address

#: Characters of a text in which a block is looked for.
_READ = 64 * 1024
#: Lines of a block above From, and below it.
_ABOVE, _BELOW = 4, 10
_AUTHOR = re.compile(r"[>|*\s]*(?:From|Von|De|Da)[*\s]*:[*\s]*(.*)", re.IGNORECASE)
#: What else stands in a block; two of them make it one.
_OTHERS = (
    "Date|Sent|Datum|Gesendet(?: am)?|Envoyé(?: le)?|Fecha|Enviado(?: el)?|Inviato",
    "To|An|À|A|Para|Cc|Kopie|Copie",
    "Subject|Betreff|Objet|Asunto|Oggetto",
)
_LABELS = tuple(
    re.compile(rf"[>|*\s]*(?:{names})[*\s]*:", re.IGNORECASE) for names in _OTHERS
)
_ENOUGH = 2
_PLAIN = r"[^\s<>()\[\]]+@[^\s<>()\[\]]+"
_IN_BRACKETS = re.compile(
    rf"<(?:mailto:)?({_PLAIN})[<>]|\[mailto:({_PLAIN})\]|\(({_PLAIN})\)"
)


def original_author(content: bytes, text: str) -> Address | None:
    """Return who wrote what was forwarded; ``None`` where it does not tell."""
    return _of_enclosed(content) or _of_block(text[:_READ].splitlines())


def _of_enclosed(content: bytes) -> Address | None:
    """Read From of the one enclosed message; of several, none is the original."""
    found = [
        each.children[0]
        for each in leaves(scan(content).root)
        if each.content_type == "message/rfc822" and each.children
    ]
    field = found[0].first(b"from") if len(found) == 1 else None
    return None if field is None else parse_addresses(raw_text(field)).identity


def _of_block(lines: Sequence[str]) -> Address | None:
    """Read the first block; those below it are older mails."""
    for n, line in enumerate(lines):
        author = _AUTHOR.match(line)
        if author is None:
            continue
        block = lines[max(n - _ABOVE, 0) : n + _BELOW]
        if sum(any(map(label.match, block)) for label in _LABELS) >= _ENOUGH:
            return _only(author[1])
    return None


def _only(text: str) -> Address | None:
    """Return the one mailbox in what stands behind the label."""
    written = {"".join(groups) for groups in _IN_BRACKETS.findall(text)}
    written = written or {text.strip(" *\t")}
    return mailbox(written.pop()) if len(written) == 1 else None
