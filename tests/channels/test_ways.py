"""All ways in of a node, into a real spool."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from otrsd.channels.ways import pipe_settings, run_receiver
from otrsd.clock import SystemClock
from otrsd.config.models import Config, Listen, Listener
from otrsd.spool import Spool
from tests.channels.conftest import LOCAL, Pipe, desk_config, free_port


class Ready(Pipe):
    """A control that another thread waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.set = threading.Event()

    def ready(self) -> None:
        self.set.set()


@contextmanager
def running(config: Config, spool: Spool) -> Iterator[None]:
    control = Ready()
    role = threading.Thread(
        target=run_receiver, args=(config, spool, control, SystemClock())
    )
    role.start()
    assert control.set.wait(10)
    try:
        yield
    finally:
        control.stop()
        role.join(30)
        control.close()
        assert not role.is_alive()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    listen = Listen(smtp=Listener(port=free_port()), lmtp=Listener(port=free_port()))
    update = {"listen": listen, "state": tmp_path, "root": tmp_path}
    return desk_config().model_copy(update=update)


CONTENT = b"Subject: x\r\n\r\nh\xc3\xa4llo\r\n"


def test_a_mail_by_each_listener_is_in_the_spool(config: Config, tmp_path: Path):
    spool = Spool(tmp_path / "spool.db", SystemClock())
    assert config.listen.smtp is not None
    assert config.listen.lmtp is not None
    with running(config, spool):
        with smtplib.SMTP(LOCAL, config.listen.smtp.port) as client:
            client.sendmail("a@b.example", ["support@desk.example"], CONTENT)
        with smtplib.LMTP(LOCAL, config.listen.lmtp.port) as client:
            client.sendmail("", ["help@desk.example"], CONTENT)
    with closing(spool):
        claimed = spool.claim("test", limit=10, now=SystemClock().now())
    assert [mail.content for mail in claimed] == [CONTENT] * 2
    assert [mail.envelope.channel for mail in claimed] == ["smtp", "lmtp"]


def send_until_refused(port: int, acknowledged: list[str]) -> None:
    """Send mails, a connection each, until the receiver is gone."""
    with suppress(OSError, smtplib.SMTPException):
        while True:
            with smtplib.SMTP(LOCAL, port, timeout=20) as client:
                client.ehlo("c.example")
                client.mail("a@b.example")
                client.rcpt("support@desk.example")
                code, text = client.data(CONTENT)
                if code == 250:
                    acknowledged.append(text.decode().split()[1])


def test_a_stop_under_load_loses_nothing_acknowledged(config: Config, tmp_path: Path):
    spool = Spool(tmp_path / "spool.db", SystemClock())
    acknowledged: list[str] = []
    assert config.listen.smtp is not None
    arguments = (config.listen.smtp.port, acknowledged)
    clients = [
        threading.Thread(target=send_until_refused, args=arguments) for _ in range(4)
    ]
    with running(config, spool):
        for client in clients:
            client.start()
        while len(acknowledged) < 50:
            clients[0].join(0.01)
    for client in clients:
        client.join(30)
    with closing(spool):
        stored = {entry.id for entry in spool.entries(limit=100_000)}
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= stored


def test_the_pipe_knows_who_is_ours(config: Config):
    settings = pipe_settings(config)
    assert "support@desk.example" in settings.accept
    assert "postmaster@other.example" in settings.accept
    assert not settings.accept_any
    assert settings.max_size == 25 * 1024 * 1024


def test_uvloop_is_used_where_it_installs():
    from otrsd.channels.receiver import new_loop

    uvloop = pytest.importorskip("uvloop")
    loop = new_loop()
    loop.close()
    assert isinstance(loop, uvloop.Loop)
    assert isinstance(loop, asyncio.AbstractEventLoop)
