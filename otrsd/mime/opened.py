"""What lies within a part without being a part: a file, with its octets."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass

#: The table of the standard library alone, the same on every machine.
_TYPES = mimetypes.MimeTypes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A file that was found in a text or in a winmail.dat."""

    #: As it was written there.
    name: str
    content_type: str
    octets: bytes
    #: Whether it is the text of the mail, not a file.
    is_body: bool = False


def type_of(name: str) -> str:
    """Return the media type that a name's extension stands for."""
    return _TYPES.guess_type(name, strict=False)[0] or "application/octet-stream"
