"""What of a text its writer wrote, and what is quoted, signed or appended by machines.

:func:`divide` is the whole of it: passages that cover the text, nothing thrown away.
:mod:`~otrsd.mime.quotes.words` says what mail programs write, by language;
:mod:`~otrsd.mime.quotes.lines` what one line is; :mod:`~otrsd.mime.quotes.marks`
where a quoted mail begins; :mod:`~otrsd.mime.quotes.tails` what ends a reply.
"""

from __future__ import annotations

from otrsd.mime.quotes.kinds import Kind, Passage
from otrsd.mime.quotes.passages import divide, markers, reply_text, signature

__all__ = ("Kind", "Passage", "divide", "markers", "reply_text", "signature")
