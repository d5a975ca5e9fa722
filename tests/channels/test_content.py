"""The content of a transfer, however the network cuts it."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings, strategies as st

from otrsd.channels.content import Content, ContentLimits, Reader
from otrsd.channels.limits import Budget

TOKENS = [
    b"\r\n",
    b".",
    b"..",
    b"a",
    b"\r",
    b"\n",
    b"\0",
    b"Received: x\r\n",
    b"\r\n.\r\n",
]


def received(transfer: bytes, cuts: list[int], *, strict: bool) -> Content:
    """Read ``transfer`` as it would come in pieces of these sizes."""

    async def read() -> Content:
        budget = Budget(10_000)
        limits = ContentLimits(max_size=300, line=40, strict=strict, max_received=3)
        content, reader = Content(limits, budget), Reader(limit=16)
        reading = asyncio.ensure_future(content.read(reader))
        rest = transfer
        for cut in [*cuts, len(transfer)]:
            reader.feed_data(rest[:cut])
            rest = rest[cut:]
            await asyncio.wait([reading], timeout=0)
        reader.feed_eof()
        await reading
        kept = sum(map(len, content.pieces))
        assert budget.has(10_000 - kept)
        assert not budget.has(10_000 - kept + 1)
        return content

    return asyncio.run(read())


@settings(max_examples=300, deadline=None)
@given(
    tokens=st.lists(st.sampled_from(TOKENS[:-1]), max_size=40),
    cuts=st.lists(st.integers(1, 9), max_size=60),
    strict=st.booleans(),
)
def test_every_cut_gives_the_same(
    tokens: list[bytes], cuts: list[int], *, strict: bool
):
    text = b"".join(tokens)
    stuffed = (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:]
    stuffed += b".\r\n" if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
    text += b"" if not text or text.endswith(b"\r\n") else b"\r\n"
    whole, cut = (
        received(stuffed, sizes, strict=strict) for sizes in ([len(stuffed)], cuts)
    )
    assert (cut.refusal is None) == (whole.refusal is None)
    if whole.refusal is None:
        assert b"".join(cut.pieces) == b"".join(whole.pieces) == text
        assert not strict or not {b"\0"} & set(tokens)


def test_the_longest_line_counts_over_pieces():
    long = b"x" * 41 + b"\r\n.\r\n"
    assert received(long, [5] * 9, strict=True).refusal is not None
    assert received(long[1:], [5] * 9, strict=True).refusal is None
