from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from otrsd.channels.drop import PipeSettings
from otrsd.channels.intake import Intake
from otrsd.channels.limits import Budget
from otrsd.channels.socket import SubmitSocket
from otrsd.clock import FakeClock
from otrsd.spool import Spool

Pipe = Callable[..., "subprocess.CompletedProcess[bytes]"]
MAIL = b"From: ann@example.com\nSubject: Hello\n\nIt works?\n"


@contextmanager
def serving(server: SubmitSocket, intake: Intake, path: Path) -> Iterator[None]:
    """Serve in a thread of its own, as the receiver does in its process."""
    up, down = Event(), Event()

    async def main() -> None:
        async with server.listening(path):
            up.set()
            await asyncio.to_thread(down.wait)
        await intake.close()

    thread = Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert up.wait(10)
    try:
        yield
    finally:
        down.set()
        thread.join(20)


@pytest.fixture
def submit(
    settings: PipeSettings, intake: Intake, clock: FakeClock
) -> Iterator[SubmitSocket]:
    server = SubmitSocket(
        intake, clock, max_size=1_000_000, max_seconds=0.5, max_connections=2
    )
    with serving(server, intake, settings.socket):
        yield server


@pytest.fixture
def foreign(drop: Path) -> Iterator[None]:
    """Make the drop folder somebody else's, as it is for an MTA's nobody."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(drop, 12345, 12345)
    yield
    os.chown(drop, 0, 0)


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    folder = os.open(path.parent, os.O_PATH)
    connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    return connection


def ask(path: Path, octets: bytes) -> bytes:
    """Send ``octets`` and return the answer."""
    with connect(path) as connection:
        # The server may refuse, and hang up, before it has read all.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(octets)
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
        return answer


@pytest.mark.usefixtures("submit", "foreign")
def test_a_mail_for_a_foreign_folder_goes_to_the_daemon(pipe: Pipe, spool: Spool):
    ran = pipe("-f", "ann@example.com", "support@example.org")
    assert (ran.returncode, ran.stdout) == (0, b"")
    (entry,) = spool.entries()
    assert spool.content(entry.id) == MAIL
    assert (entry.envelope.channel, entry.envelope.peer) == ("socket", "uid:0")
    assert entry.envelope.mail_from == "ann@example.com"


@pytest.mark.usefixtures("foreign")
def test_without_a_daemon_a_foreign_folder_is_75(pipe: Pipe):
    ran = pipe()
    assert (ran.returncode, b"nobody listens" in ran.stdout) == (75, True)


@pytest.mark.usefixtures("submit", "foreign")
def test_the_daemons_limit_is_69(pipe: Pipe, tmp_path: Path):
    text = (tmp_path / "pipe.json").read_text().replace("100000", "9000000")
    (tmp_path / "pipe.json").write_text(text)
    ran = pipe(content=b"x" * 2_000_000)
    assert (ran.returncode, ran.stdout[:6]) == (69, b"5.3.4 ")


@pytest.fixture
def frame(pipe: Pipe, drop: Path) -> bytes:
    pipe()
    (path,) = (path for path in drop.iterdir() if path.is_file())
    return path.read_bytes()


@pytest.mark.usefixtures("submit")
def test_the_answer_names_an_id_of_ours(
    settings: PipeSettings, frame: bytes, spool: Spool
):
    code, spool_id = ask(settings.socket, frame).decode().split()
    assert code == "0"
    assert spool.content(spool_id) == MAIL
    assert spool_id not in frame.decode()


@pytest.mark.usefixtures("submit")
@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: frame.replace(b"works", b"Works"),
        lambda _: b"hello\n",
        lambda _: b"x" * 3_000_000,
        lambda frame: frame[:-5],
    ],
)
def test_what_is_not_whole_is_75_and_not_stored(
    settings: PipeSettings,
    frame: bytes,
    spool: Spool,
    damage: Callable[[bytes], bytes],
):
    answer = ask(settings.socket, damage(frame))
    assert answer[:3] == b"75 "
    assert spool.entries() == ()


@pytest.mark.usefixtures("submit")
def test_too_many_connections_are_75(settings: PipeSettings, frame: bytes):
    with connect(settings.socket), connect(settings.socket):
        answer = ask(settings.socket, frame)
    assert answer.startswith(b"75 4.3.2 ")


def test_a_mail_waits_for_its_share_of_the_memory(
    settings: PipeSettings, intake: Intake, clock: FakeClock, frame: bytes
):
    server = SubmitSocket(
        intake, clock, max_size=1000, budget=Budget(len(MAIL)), max_seconds=10
    )
    with (
        serving(server, intake, settings.socket),
        connect(settings.socket) as first,
        connect(settings.socket) as second,
    ):
        first.sendall(frame[:-20])
        second.sendall(frame)
        second.settimeout(0.3)
        with pytest.raises(TimeoutError):
            second.recv(1)
        first.close()
        second.settimeout(5)
        assert second.recv(100).startswith(b"0 ")


def test_a_socket_left_behind_is_replaced_and_removed_at_the_end(
    settings: PipeSettings, intake: Intake, clock: FakeClock
):
    settings.socket.touch()
    server = SubmitSocket(intake, clock, max_size=1)
    with serving(server, intake, settings.socket):
        assert settings.socket.is_socket()
    assert not settings.socket.exists()
