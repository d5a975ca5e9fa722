"""Which attachments have words for the index, and how much of them counts.

Asked in the transaction of every mail, so nothing is opened here: that is
:mod:`otrsd.mime.attachments`, in a process that may be killed.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Characters that are kept of one part, and of all parts of an article.
PART_CHARACTERS, ARTICLE_CHARACTERS = 512 * 1024, 1024 * 1024
#: Parts of one article that are read.
PARTS = 20
#: Octets of a part; a larger one is not opened.
PART_OCTETS = 32 * 1024 * 1024
#: Octets that may come out of a zip file, and files in it.
UNPACKED_OCTETS, ZIP_FILES = 64 * 1024 * 1024, 5000
#: Pages of a PDF.
PAGES = 1000
_TYPES: Mapping[str, str] = {
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "odt",
    "application/vnd.oasis.opendocument.presentation": "odt",
    "text/plain": "text",
    "text/csv": "text",
    "text/markdown": "text",
    "text/html": "html",
    "message/rfc822": "message",
    "message/global": "message",
}
#: A mailer that does not know a type says octet-stream: then the name tells.
_SUFFIXES: Mapping[str, str] = {
    "pdf": "pdf",
    "docx": "docx",
    "xlsx": "xlsx",
    "pptx": "pptx",
    "odt": "odt",
    "ods": "odt",
    "odp": "odt",
    "txt": "text",
    "log": "text",
    "csv": "text",
    "md": "text",
    "html": "html",
    "htm": "html",
    "eml": "message",
}
_VAGUE = frozenset(
    ("application/octet-stream", "application/zip", "application/x-zip-compressed")
)


def kind_of(content_type: str, name: str) -> str:
    """Return how an attachment is read; empty: it has no words for us."""
    kind = _TYPES.get(content_type, "")
    if not kind and content_type in _VAGUE:
        kind = _SUFFIXES.get(name.rpartition(".")[2].lower(), "")
    return kind
