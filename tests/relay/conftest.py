"""A smarthost on loopback that does what a test wants, and a site that writes to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from otrsd.desk.outgoing import Outgoing, Waiting, figures, outgoing, send
from otrsd.desk.tickets import Who
from otrsd.model.mail import Address
from otrsd.relay.mail_lane import MailLane
from otrsd.relay.submission import Smarthost, submit
from otrsd.testing import Site, mail_octets
from tests.controls import Quiet
from tests.smarthosts import AnyPort

KIM = Address(name="Kim", address="kim@customer.example")
AGENT = Who(actor="joe", cause="cli")


@dataclass
class Sink:
    """What the smarthost answers, and what it took."""

    #: Envelopes that it said yes to.
    taken: list[Envelope] = field(default_factory=list)
    #: Replies, by command; for RCPT by address too.
    rcpt: dict[str, str] = field(default_factory=dict)
    mail: str = ""
    data: str = ""
    #: What happens after the dot: ``drop`` closes, ``hang`` says nothing.
    after: str = ""
    logins: list[LoginPassword] = field(default_factory=list)

    async def handle_MAIL(
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _o: Any,
    ) -> str:
        if self.mail:
            return self.mail
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _o: Any,
    ) -> str:
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.data:
            return self.data
        self.taken.append(envelope)
        if self.after == "drop":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        if self.after == "hang":
            await server.loop.create_future()
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _e: Envelope, _m: str, login: Any
    ) -> AuthResult:
        self.logins.append(login)
        return AuthResult(success=login.password == b"sesame")


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def listening(sink: Sink) -> Iterator[Callable[..., int]]:
    """Return what starts the sink; it gives the port."""
    running: list[AnyPort] = []

    def start(**options: Any) -> int:
        controller = AnyPort(sink, **options)
        controller.start()
        running.append(controller)
        return int(controller.port)

    yield start
    for controller in running:
        controller.stop()


@dataclass
class Certificates:
    """What the sink shows, and what its clients trust."""

    server: ssl.SSLContext
    ca_file: str


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Certificates(server=context, ca_file=str(tmp_path / "ca.pem"))


@dataclass
class House:
    """A site whose tickets can be answered, and the lane that sends the answers."""

    site: Site
    lane: MailLane

    def answer(self, to: tuple[Address, ...] = (KIM,), text: str = "Hi.\n") -> int:
        """Answer a new ticket; return the ticket's id."""
        outcome = self.site.deliver(mail_octets(Message_ID="<1@customer.example>"))
        app = self.site.app
        with app.desk().unit() as unit:
            ticket = unit.ticket(outcome.ticket_id or 0)
            assert ticket is not None
            mail = Outgoing(to=to, subject="Re: A question", text=text)
            send(unit, app.letterhead(), ticket, mail, AGENT)
        return outcome.ticket_id or 0

    def waiting(self) -> tuple[Waiting, ...]:
        with self.site.app.database.read() as connection:
            return outgoing(connection)

    def results(self) -> dict[str, int]:
        """Return how often what happened."""
        with self.site.app.database.read() as connection:
            found = figures(connection).results
        return {name: times for name, times in found.items() if times}

    def run(self) -> None:
        """Send what is due."""
        while self.lane.turn():
            pass


@pytest.fixture
def house(otrsd_app: Site, listening: Callable[..., int]) -> Callable[..., House]:
    """Return what opens a house whose smarthost is the sink, or anything else."""

    def opened(**changes: Any) -> House:
        port = changes.pop("port", None) or listening()
        values = {
            "host": "127.0.0.1",
            "port": port,
            "tls": "none",
            "hostname": "tickets.example.com",
            "timeout": 2.0,
            **changes,
        }
        lane = MailLane(
            desk=otrsd_app.app.desk(),
            submit=partial(submit, Smarthost(**values)),
            control=Quiet(name="mail"),
            log=structlog.get_logger(),
        )
        return House(site=otrsd_app, lane=lane)

    return opened
