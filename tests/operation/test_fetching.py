"""Fetching, seen by the operator: status, doctor, check, reload, stop, notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bench.mailbox import PASSWORD, Box
from bench.mailserver import serving
from otrsd.clock import SystemClock
from tests.channels.fetching import hanging, mails

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow


class Provider:
    """Mailboxes on loopback and the accounts of a site."""

    def __init__(self, site: Any, stack: ExitStack) -> None:
        self.site = site
        self._stack = stack

    def mailbox(self, protocol: str, *contents: bytes) -> tuple[Box, str]:
        """Return a mailbox and the beginning of its settings."""
        box = Box()
        box.deliver(*contents)
        port = self._stack.enter_context(serving(box, protocol))
        return box, (
            f"protocol: {protocol}, host: 127.0.0.1, port: {port}, tls: none,"
            f" username: desk, password: {PASSWORD}, every: 1s"
        )

    def write(self, **accounts: str) -> None:
        """Write the accounts into the site's configuration."""
        lines = [f"  {name}: {{{settings}}}" for name, settings in accounts.items()]
        path = self.site.folder / "config" / "60-fetch.yaml"
        path.write_text("\n".join(["fetch:", *lines, ""]))


@pytest.fixture
def provider(site: Any) -> Iterator[Provider]:
    with ExitStack() as stack:
        yield Provider(site, stack)


def test_status_tells_of_each_account(site: Any, provider: Provider) -> None:
    _, good = provider.mailbox("imap", *mails(3))
    _, bad = provider.mailbox("pop3", *mails(2))
    provider.write(good=good, bad=bad.replace(PASSWORD, "wrong"))
    site.start()
    site.until(lambda: len(site.titles()) == 3)
    site.until(lambda: site.events("fetch.away"))
    site.until(lambda: "good: visited" in site.otrsd("status").stdout)
    said = site.otrsd("status").stdout
    assert "bad: never visited, fails, 0 fetched, 0 waiting there" in said
    assert "problem: account bad: the login is refused" in said
    assert site.stop() == 0


def test_doctor_tries_each_login_and_changes_nothing(
    site: Any, provider: Provider
) -> None:
    box, good = provider.mailbox("pop3", *mails(3))
    _, bad = provider.mailbox("imap")
    provider.write(good=good, bad=bad.replace(PASSWORD, "wrong"))
    said = site.otrsd("doctor").stdout
    assert "fetch.good the login works, 3 mails are there" in said
    assert "critical  fetch.bad" in said
    assert len(box.inbox) == 3
    assert "wrong" not in said.replace("AUTHENTICATIONFAILED] wrong", "")


def test_reload_swaps_accounts(site: Any, provider: Provider) -> None:
    old, before = provider.mailbox("imap", *mails(1))
    new, after = provider.mailbox("imap", *mails(1, 1))
    provider.write(old=before)
    site.start()
    site.until(lambda: site.titles() == ["Mail 0"])
    provider.write(new=after)
    assert site.otrsd("reload").returncode == 0
    site.until(lambda: sorted(site.titles()) == ["Mail 0", "Mail 1"])
    sessions = old.sessions
    new.deliver(*mails(1, 2))
    site.until(lambda: len(site.titles()) == 3)
    assert old.sessions == sessions
    assert '"old"' not in site.otrsd("status", "--json").stdout


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_p08_a_hanging_server_holds_up_neither_mail_nor_the_stop(
    site: Any, provider: Provider, protocol: str
) -> None:
    released = threading.Event()
    stuck, settings = provider.mailbox(protocol, *mails(1))
    stuck.fault = hanging(released)
    _, well = provider.mailbox(protocol, *mails(1, 1))
    provider.write(stuck=settings, well=well)
    site.start()
    site.until(lambda: site.titles() == ["Mail 1"])
    site.send("by smtp")
    site.until(lambda: len(site.titles()) == 2)
    clock = SystemClock()
    before = clock.monotonic()
    assert site.stop() == 0
    assert clock.monotonic() - before < 8
    released.set()


def test_the_admin_is_told_of_a_mail_that_is_too_large(
    site: Any, provider: Provider
) -> None:
    _, settings = provider.mailbox("imap", b"Subject: big\r\n\r\n" + b"x" * 100_000)
    provider.write(big=settings + ", max_size: 64KB")
    path = site.folder / "otrsd.yaml"
    path.write_text(path.read_text().replace("site:", "site:\n  admin: root@acme.test"))
    site.start()
    site.until(lambda: "root@acme.test" in site.otrsd("spool", "list", "--out").stdout)
    assert site.stop() == 0


def test_check_names_the_accounts(site: Any, provider: Provider) -> None:
    provider.write(
        desk="protocol: imap, host: mail.example.com, username: desk, password: x"
    )
    said = site.otrsd("check").stdout
    assert "imap desk at mail.example.com:993" in said


def test_the_accounts_queue_is_for_mail_that_names_none(
    site: Any, provider: Provider
) -> None:
    named = b"To: help@acme.test\r\nSubject: named\r\n\r\nx\r\n"
    _, settings = provider.mailbox("imap", *mails(1), named)
    (site.folder / "config/30-other.yaml").write_text("queues:\n  other:\n")
    provider.write(desk=settings + ", queue: other")
    site.start()
    site.until(lambda: len(site.titles()) == 2)
    said = site.otrsd("ticket", "list", "queue:other").stdout
    assert "Mail 0" in said
    assert "named" not in said
