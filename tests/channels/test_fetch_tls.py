"""Whom a fetching client believes (row P07), and what it says where it does not."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from bench.mailbox import Box
from bench.mailserver import serving
from tests.channels.fetching import Visitor, mails

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Provider:
    """A mailbox behind TLS."""

    folder: Path
    stack: ExitStack
    authority: trustme.CA

    def reach(
        self,
        protocol: str,
        *,
        name: str = "localhost",
        authority: trustme.CA | None = None,
        **settings: Any,
    ) -> Visitor:
        box = Box()
        box.deliver(*mails(2))
        box.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (authority or self.authority).issue_cert(
            "localhost" if name == "expired" else name,
            not_after=PAST if name == "expired" else None,
        ).configure_cert(box.context)
        box.implicit_tls = settings.setdefault("tls", "required") == "required"
        if settings["tls"] == "starttls":
            box.capabilities += " STARTTLS"
        port = self.stack.enter_context(serving(box, protocol))
        settings = {
            "protocol": protocol,
            "port": port,
            "host": "localhost",
            "ca_file": "ca.pem",
            **settings,
        }
        return Visitor(self.folder, box, settings)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ExitStack() as stack:
        yield Provider(tmp_path, stack, authority)


@pytest.mark.parametrize("tls", ["required", "starttls"])
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_p07_a_good_certificate_is_good(provider: Provider, protocol: str, tls: str):
    visitor = provider.reach(protocol, tls=tls)
    visitor.visit()
    assert visitor.status.error == ""
    assert len(visitor.home.mails) == 2


@pytest.mark.parametrize("tls", ["required", "starttls"])
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize(
    ("name", "why"),
    [("mail.example.com", "mismatch"), ("expired", "certificate has expired")],
)
def test_p07_a_bad_certificate_is_refused_and_told(
    provider: Provider, protocol: str, tls: str, name: str, why: str
):
    visitor = provider.reach(protocol, tls=tls, name=name)
    visitor.visit()
    assert "its certificate is not trusted" in visitor.status.error
    assert why in visitor.status.error.lower()
    assert not any("desk" in each or "sesame" in each for each in visitor.box.said)


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_p07_an_authority_nobody_knows_is_refused(provider: Provider, protocol: str):
    visitor = provider.reach(protocol, authority=trustme.CA())
    visitor.visit()
    assert "name its file in 'ca_file'" in visitor.status.error


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_p07_a_server_in_clear_is_refused(provider: Provider, protocol: str):
    visitor = provider.reach(protocol)
    visitor.box.implicit_tls = False
    visitor.visit()
    assert "it does not speak TLS there" in visitor.status.error


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_p07_starttls_that_somebody_takes_away_is_missed(
    provider: Provider, protocol: str
):
    visitor = provider.reach(protocol, tls="starttls")
    visitor.box.capabilities = "IMAP4rev1 AUTH=PLAIN"
    visitor.box.odd["STLS"] = b"-ERR what?\r\n"
    visitor.visit()
    assert "nothing is sent in clear" in visitor.status.error
    assert not any("PASS" in each or "LOGIN" in each for each in visitor.box.said)


@pytest.mark.parametrize(
    ("protocol", "command", "answer"),
    [
        ("imap", "STARTTLS", b"TAG OK go\r\n* OK [CAPABILITY IMAP4rev1]\r\n"),
        ("pop3", "STLS", b"+OK go\r\n+OK logged in\r\n"),
    ],
)
def test_p07_what_follows_starttls_in_clear_ends_it(
    provider: Provider, protocol: str, command: str, answer: bytes
):
    visitor = provider.reach(protocol, tls="starttls")
    visitor.box.odd[command] = answer
    visitor.visit()
    assert "in clear after STARTTLS" in visitor.status.error


def test_p07_a_ca_file_that_is_none_is_told(provider: Provider):
    (provider.folder / "ca.pem").write_text("nothing")
    visitor = provider.reach("imap")
    visitor.visit()
    assert "'ca_file'" in visitor.status.error
