"""Address lists: one header field → mailboxes, and whether they may be trusted.

In: the raw text of a From, To, Reply-To … field (RFC 5322 §3.4, encoded words still
encoded: a comma or ``@`` inside one is no syntax). Out: the mailboxes and the
defects. Only a field without defects gives identity: lenient readers take
``alice@example.org`` from ``alice@example.org)bob@evil.example`` (CVE-2023-27043).
One pass, no recursion, at most 1,000 addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from otrsd.mime.fields import decode_words
from otrsd.mime.limits import ADDRESSES
from otrsd.model.mail import Address

_ATEXT = r"[^\s()<>\[\]:;@\\,\".\x00-\x1f\x7f]+"
_DOT_ATOM = rf"{_ATEXT}(?:\.{_ATEXT})*"
_LABEL = r"[^\W_](?:[\w-]*\w)?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_QUOTED = r'"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*"'
_LITERAL = r"\[[A-Za-z0-9:.-]+\]"
_MAILBOX = re.compile(rf"({_DOT_ATOM}|{_QUOTED})@({_DOMAIN}|{_LITERAL})\Z")
#: The usual forms, taken in one step; everything else goes through the tokens.
_USUAL = re.compile(
    rf"(?:\"([^\"\\<>@]*)\"\s*|([^\"\\<>@,;:()\[\]]*))<({_DOT_ATOM}@{_DOMAIN})>\Z"
)
_BARE = re.compile(rf"({_DOT_ATOM}@{_DOMAIN})\Z")
#: An encoded word is one piece: what stands in it is no syntax.
_PIECE = re.compile(
    r'=\?[^?\s]{1,60}\?[bBqQ]\?[^?\s"]{0,500}\?=|\s+|"(?:[^"\\]|\\.)*"?|\[[^\]\[\s]*\]?|[()<>,;:@\\]|[^\s"()<>,;:@\\\[]+',
    re.DOTALL,
)
_HARMLESS = re.compile(r"[^<>@]*\Z")
_UNQUOTE = re.compile(r"\\(.)", re.DOTALL)
_LONGEST_ADDRESS = 320


@dataclass(slots=True, kw_only=True)
class AddressList:
    """The mailboxes of one field."""

    addresses: list[Address] = field(default_factory=list)
    #: What was wrong, in words; empty for a field that keeps the syntax.
    defects: list[str] = field(default_factory=list)

    @property
    def identity(self) -> Address | None:
        """Return the only mailbox of a field without defects."""
        if len(self.addresses) == 1 and not self.defects:
            return self.addresses[0]
        return None


def parse_addresses(text: str) -> AddressList:
    """Return the mailboxes of a field."""
    match = _USUAL.match(text)
    if match is not None:
        name = match[1] if match[1] is not None else match[2]
        written = match[3]
    else:
        match = _BARE.match(text)
        if match is None:
            return _Reader().read(text)
        name, written = "", match[1]
    address = mailbox(written, name)
    return AddressList(addresses=[address]) if address else _Reader().read(text)


def mailbox(written: str, name: str = "") -> Address | None:
    """Return a mailbox, ``None`` if ``written`` is not ``local@domain``."""
    if len(written) > _LONGEST_ADDRESS or "=?" in written:
        return None
    match = _MAILBOX.match(written)
    if match is None:
        return None
    domain = match[2].lower().rstrip(".")
    return Address(name=decode_words(name).strip(), address=f"{match[1]}@{domain}")


class _Reader:
    """Reads an address list token by token."""

    def __init__(self) -> None:
        self.out = AddressList()
        self._comment_depth = 0
        self._comment: list[str] = []
        self._phrase: list[str] = []
        self._angle: list[str] | None = None
        self._closed = False
        self._in_group = False
        #: A name before a comma that should have been quoted: ``Doe, Jo <…>``.
        self._surname = ""

    def read(self, text: str) -> AddressList:
        """Return the mailboxes of ``text``."""
        for match in _PIECE.finditer(text):
            piece = match[0]
            if self._comment_depth or piece in "()":
                self._take_comment(piece)
            elif self._angle is not None:
                self._take_angle(piece)
            else:
                self._take_outside(piece)
            if len(self.out.addresses) >= ADDRESSES:
                self._defect(f"more than {ADDRESSES} addresses: the rest was not read")
                return self.out
        if self._comment_depth:
            self._defect("a comment is not closed")
        self._end_mailbox()
        if self._in_group:
            self._defect("a group is not closed")
        return self.out

    def _defect(self, text: str) -> None:
        if text not in self.out.defects:
            self.out.defects.append(text)

    def _take_comment(self, piece: str) -> None:
        if piece == ")" and not self._comment_depth:
            self._defect("a closing parenthesis without an opening one")
            return
        if piece == ")":
            self._comment_depth -= 1
        if self._comment_depth:
            self._comment.append(piece)
        if piece == "(":
            self._comment_depth += 1

    def _take_angle(self, piece: str) -> None:
        assert self._angle is not None  # noqa: S101 - told apart by the caller
        if piece == ">":
            self._closed = True
            self._add("".join(self._angle), self._surname + _phrase(self._phrase))
            self._surname = ""
            self._angle = None
        elif piece == "<" and not self._angle:
            self._defect("an angle bracket too many")
        elif piece in "<,;" and not (piece == "," and self._angle[:1] == ["@"]):
            self._defect("an angle bracket is not closed")
            self._angle = None
            self._phrase = []
        elif not piece.isspace():
            self._angle.append(piece)

    def _take_outside(self, piece: str) -> None:
        if piece == "<":
            if self._closed:
                self._defect("two addresses without a comma")
            self._angle = []
        elif piece == ",":
            self._end_mailbox()
        elif piece == ":":
            self._open_group()
        elif piece == ";":
            self._close_group()
        elif piece == ">":
            self._defect("a closing angle bracket without an opening one")
        elif self._closed and not piece.isspace():
            self._defect("text behind an address")
        else:
            self._take_word(piece)

    def _take_word(self, piece: str) -> None:
        if piece.startswith("=?") and not _HARMLESS.match(piece):
            self._defect("an encoded word with an address in it")
        self._phrase.append(piece)

    def _open_group(self) -> None:
        if self._in_group or "@" in self._phrase:
            self._defect("a colon in the wrong place")
        if not "".join(self._phrase).strip():
            self._defect("a group without a name")
        self._in_group = True
        self._phrase, self._closed = [], False
        self._comment = []

    def _close_group(self) -> None:
        self._end_mailbox()
        if not self._in_group:
            self._defect("a semicolon outside a group")
        self._in_group = False

    def _end_mailbox(self) -> None:
        if self._angle is not None:
            self._defect("an angle bracket is not closed")
        elif not self._closed and (written := "".join(self._phrase).strip()):
            self._add(written, "".join(self._comment))
            self._surname = "" if "@" in written else f"{_phrase(self._phrase)}, "
        self._phrase, self._comment = [], []
        self._angle, self._closed = None, False

    def _add(self, written: str, name: str) -> None:
        # A source route (RFC 5322 §4.4) is read over and is no identity.
        if written.startswith("@") and ":" in written:
            self._defect("a source route")
            written = written.rpartition(":")[2]
        address = mailbox(written, name)
        if address is None:
            self._defect("text that is no address" if written else "an empty address")
        else:
            self.out.addresses.append(address)


def _phrase(tokens: list[str]) -> str:
    words = [
        _UNQUOTE.sub(r"\1", piece[1:].removesuffix('"')) if piece[0] == '"' else piece
        for piece in tokens
    ]
    return " ".join("".join(words).split())
