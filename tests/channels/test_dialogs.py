"""Play every file of ``dialogs/`` against a receiver; its name carries the row.

``peer: stranger`` or ``local``; ``channel: lmtp``; ``C:`` is sent with CR LF, ``R:``
without; ``S:`` is the beginning of the next reply, ``closed`` the end of the
connection; ``stored:`` is how many mails are kept, ``content:`` the last one's
octets. Escapes are Python's; ``{x*600}`` repeats.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.channels.conftest import Client, House, Visit

FOLDER = Path(__file__).parent / "dialogs"
FILES = sorted(FOLDER.glob("*.txt"))


def octets(text: str) -> bytes:
    repeated = re.sub(r"\{(.+?)\*(\d+)\}", lambda m: m[1] * int(m[2]), text)
    return repeated.encode().decode("unicode_escape").encode("latin-1")


async def play(lines: list[str], house: House) -> None:
    channel, peer = "smtp", "127.0.0.2"
    client: Client | None = None
    for line in lines:
        word, _, rest = line.partition(": ")
        if word == "channel":
            channel = rest
        elif word == "peer":
            peer = {"local": "127.0.0.1", "stranger": "127.0.0.2"}[rest]
        elif word == "stored":
            assert len(house.kept.mails) == int(rest), line
        elif word == "content":
            assert house.kept.mails[-1][1] == octets(rest), line
        else:
            client = client or await house.connect(channel, peer=peer, greet=False)
            await turn(client, word, rest)


async def turn(client: Client, word: str, rest: str) -> None:
    if word == "C":
        client.send(octets(rest) + b"\r\n")
    elif word == "R":
        client.send(octets(rest))
    elif rest == "closed":
        assert await client.rest() == ""
    else:
        assert word == "S", word
        reply = await client.reply()
        assert reply.startswith(rest), f"{reply!r} instead of {rest!r}"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_dialog(path: Path, visit: Visit):
    lines = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    visit(lambda house: play(lines, house), listener={"max_size": 200_000})
