"""Reading one part of a mail again, by the path under which it is listed.

In: the content and a path of ``Mail.parts``. Out: the part's octets, decoded, in
chunks. Fails with NotFoundError for a path that the mail does not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from otrsd.errors import NotFoundError
from otrsd.mime.scan import find, scan
from otrsd.mime.transfer import decode_transfer


def read_part(content: bytes, path: str) -> Iterator[bytes]:
    """Return the decoded octets of the part at ``path``, in chunks."""
    entity = find(scan(content).root, path)
    if entity is None:
        raise NotFoundError(
            f"the mail has no part {path!r}; see its list of parts for those it has"
        )
    return decode_transfer(content, entity.start, entity.end, entity.encoding)
