"""Read the content of one mail from a DATA transfer (RFC 5321 §4.1.1.4, §4.5.2).

In: a :class:`Reader` positioned after the 354; out: the octets after dot-unstuffing
as a list of pieces of at most 128 KiB, never joined, or the reply that refuses
them. Only CR LF ``.`` CR LF ends the transfer. A refused transfer is read to its
end, so that the session stays usable, and none of it is kept. Raises
``IncompleteReadError`` or ``ConnectionError`` when the client goes away.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from otrsd.channels import replies
from otrsd.channels.limits import Budget
from otrsd.channels.replies import Reply

#: The stream holds at most about twice this before it stops reading the socket.
STREAM_LIMIT = 64 * 1024
#: Largest piece of content.
PIECE = 128 * 1024
#: So much of the beginning is looked through for Received fields.
_HEADER_LIMIT = 256 * 1024
_END = b"\r\n.\r\n"


class Reader(asyncio.StreamReader):
    """A stream that tells what already waits, and takes octets back.

    ``_buffer`` is private to asyncio; aiosmtpd relies on it as well.
    """

    _buffer: bytearray

    @property
    def ahead(self) -> bool:
        """Tell whether the client has sent more than was read."""
        return bool(self._buffer)

    def put_back(self, octets: bytes) -> None:
        """Let ``octets`` be read next."""
        self._buffer[:0] = octets


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentLimits:
    """What a content may be."""

    max_size: int
    #: Octets of a line without its line end.
    line: int
    #: Whether bare CR, bare LF and NUL are refused.
    strict: bool
    max_received: int


class Content:
    """Collects one content; holds its octets in the budget until released."""

    def __init__(self, limits: ContentLimits, budget: Budget) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        #: Why the content is refused; the first reason stays.
        self.refusal: Reply | None = None
        self._limits = limits
        self._budget = budget
        self._held = 0
        # Octets of the line that the last piece has left open.
        self._open_line = 0
        # A line end, or half of one, that the next piece needs to be judged.
        self._carry = b""
        self._at_start = True

    async def read(self, reader: Reader) -> None:
        """Read up to the end of the transfer; see ``refusal`` then."""
        # The CR LF of the DATA command counts as the first one of CR LF . CR LF.
        reader.put_back(b"\r\n")
        while True:
            try:
                piece = await reader.readuntil(_END)
            except asyncio.LimitOverrunError as overrun:
                self.add(await reader.readexactly(min(overrun.consumed, PIECE)))
            else:
                self.add(piece[:-3], last=True)
                return

    def add(self, piece: bytes, *, last: bool = False) -> None:
        """Take the next octets of the transfer, in any cut."""
        if self._carry:
            piece, self._carry = self._carry + piece, b""
        if not last:
            piece = self._hold_back(piece)
        if self.refusal is None:
            self._judge_octets(piece)
        piece = piece.replace(b"\r\n.", b"\r\n")
        if self._at_start and piece:
            # It begins with the line end that was put back.
            piece, self._at_start = piece[2:], False
        if self.refusal is None and piece:
            self._keep(piece)
        if last and self.refusal is None:
            self.refusal = self._judge_whole()
        if self.refusal is not None:
            self.release()

    def release(self) -> None:
        """Forget the octets and give their room back; may be called again."""
        self.pieces = []
        self._budget.give(self._held)
        self._held = 0

    def _hold_back(self, piece: bytes) -> bytes:
        for end in (b"\r\n", b"\r"):
            if piece.endswith(end):
                self._carry = end
                return piece[: -len(end)]
        return piece

    def _judge_octets(self, piece: bytes) -> None:
        if not self._limits.strict:
            return
        ends = piece.count(b"\n")
        if ends != piece.count(b"\r\n") or ends != piece.count(b"\r") or b"\0" in piece:
            self.refusal = replies.BARE_LINE_END

    def _keep(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self._limits.max_size:
            self.refusal = replies.TOO_BIG
        elif self._longest_line(piece) > self._limits.line:
            self.refusal = replies.LINE_TOO_LONG
        elif not self._budget.take(len(piece)):
            self.refusal = replies.BUSY
        else:
            self._held += len(piece)
            self.pieces.append(piece)

    def _longest_line(self, piece: bytes) -> int:
        lengths = [len(line) for line in piece.split(b"\n")]
        lengths[0] += self._open_line
        self._open_line = lengths.pop()
        # Every line but the open one carries the CR of its line end.
        return max(max(lengths, default=1) - 1, self._open_line)

    def _judge_whole(self) -> Reply | None:
        beginning = b""
        for piece in self.pieces:
            beginning += piece
            if len(beginning) >= _HEADER_LIMIT:
                break
        if not beginning.strip():
            return replies.EMPTY
        if _count_received(beginning) > self._limits.max_received:
            return replies.TOO_MANY_HOPS
        return None


def _count_received(beginning: bytes) -> int:
    ends = [
        at
        for blank in (b"\r\n\r\n", b"\n\n")
        if (at := beginning.find(blank, 0, _HEADER_LIMIT)) >= 0
    ]
    header = beginning[: min(ends, default=_HEADER_LIMIT)]
    return (b"\n" + header.lower()).count(b"\nreceived:")
