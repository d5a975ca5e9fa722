"""Reading one part of a mail again, by the path under which it is listed.

In: the content and a path of ``Mail.parts``. Out: the part's octets, decoded, in
chunks. ``2.1`` is a part of the MIME tree; ``2.1~3`` is the third file in it, where it
is a winmail.dat or a text with files written into it. Fails with NotFoundError for a
path that the mail does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from otrsd.errors import NotFoundError
from otrsd.mime.embedded import take_files
from otrsd.mime.limits import OPENED_OCTETS
from otrsd.mime.opened import Opened
from otrsd.mime.scan import Entity, find, scan
from otrsd.mime.tnef import open_tnef
from otrsd.mime.transfer import decode_transfer

_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")
_WINMAIL = ("winmail.dat", "win.dat")


def read_part(content: bytes, path: str) -> Iterator[bytes]:
    """Return the decoded octets of the part at ``path``, in chunks."""
    return PartReader(content).read(path)


class PartReader:
    """Reads several parts of one mail, which is scanned once."""

    def __init__(self, content: bytes) -> None:
        self._found = scan(content)
        self._opened: dict[str, list[Opened]] = {}

    def read(self, path: str) -> Iterator[bytes]:
        """Return the decoded octets of the part at ``path``, in chunks."""
        outer, within, number = path.partition("~")
        content = self._found.content
        entity = find(self._found.root, outer)
        if entity is not None and not within:
            return decode_transfer(content, entity.start, entity.end, entity.encoding)
        if entity is not None and number.isdecimal() and len(number) < 5:  # noqa: PLR2004
            if outer not in self._opened:
                self._opened = {outer: open_part(content, entity)[1]}
            files = self._opened[outer]
            if 0 < int(number) <= len(files):
                return iter((files[int(number) - 1].octets,))
        raise NotFoundError(
            f"the mail has no part {path!r}; see its list of parts for those it has"
        )


def is_tnef(entity: Entity) -> bool:
    """Tell whether a part is a winmail.dat."""
    kind = entity.content_type
    if kind == "application/octet-stream":
        return entity.parameters.get("name", "").lower() in _WINMAIL
    return kind in _TNEF


def open_part(content: bytes, entity: Entity) -> tuple[bytes, list[Opened]]:
    """Return the text of a part that is left, and what was found in it."""
    if entity.end - entity.start > OPENED_OCTETS:
        return b"", []
    place = content, entity.start, entity.end, entity.encoding
    octets = b"".join(decode_transfer(*place))
    if is_tnef(entity):
        return b"", open_tnef(octets)
    if entity.content_type == "text/plain":
        return take_files(octets)
    return octets, []
