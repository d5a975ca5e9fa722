"""Fetching from a real Dovecot, by a real daemon: each mail once, whatever happens."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.senders import Parcel, Spec, by_lmtp
from bench.site import Daemon, Site, Wishes, composed, make_site, running
from bench.waiting import until
from otrsd.channels.fetch.book import AccountStatus, read_accounts
from otrsd.store import tickets
from tests.conftest import missing
from tests.neighbours import dovecot
from tests.neighbours.dovecot import PASSWORD, Dovecot

pytestmark = pytest.mark.slow

WAYS = {
    "imaps": "{protocol: imap, tls: required, port: %(imaps)s}",
    "starttls": "{protocol: imap, tls: starttls, port: %(imap)s, idle: false}",
    "moving": "{protocol: imap, port: %(imaps)s, move_to: Fertig & gut}",
    "keeping": "{protocol: imap, port: %(imaps)s, keep: true}",
    "pop3s": "{protocol: pop3, tls: required, port: %(pop3s)s}",
    "stls": "{protocol: pop3, tls: starttls, port: %(pop3)s, keep: true}",
}


@dataclass
class Desk:
    """A site that fetches."""

    site: Site
    daemon: Daemon
    server: Dovecot

    def fetch(self, *ways: str, every: str = "5s") -> None:
        """Let it fetch; each way is an account and the user of its name."""
        ports = {name: getattr(self.server, name) for name in Dovecot.__slots__}
        lines = ["fetch:"]
        for way in ways:
            settings = WAYS[way].rstrip("}") % ports
            who = f'username: {way}, password: "{PASSWORD}"'
            there = f"host: localhost, ca_file: {self.server.folder}/ca.pem"
            lines.append(f"  {way}: {settings}, {there}, {who}, every: {every}}}")
        path = self.site.folder / "config" / "96-fetch.yaml"
        path.write_text("\n".join(lines) + "\n", "utf-8")

    def titles(self) -> Counter[str]:
        with composed(self.site) as app, app.database.read() as connection:
            found = tickets.read(connection, tickets.TICKETS)
        return Counter(each.title for each in found)

    def has(self, wanted: dict[str, int], seconds: float = 40) -> None:
        until("each mail is a ticket", lambda: self.titles() == wanted, seconds=seconds)

    def more_come(self) -> None:
        """Wait for another mail, unless all are there."""
        before = self.titles().total()
        until("some come", lambda: self.titles().total() > before or before == 200)

    def status(self, way: str) -> AccountStatus:
        return next(each for each in read_accounts(self.site.state) if each.name == way)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    if os.geteuid() != 0:
        pytest.skip("only root can start a Dovecot")
    if shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        missing("no dovecot on this machine (Debian: dovecot-imapd, dovecot-pop3d)")
    # pytest's own folders let no other user through.
    folder = Path(tempfile.mkdtemp(prefix="otrsd-dovecot-", dir="/tmp"))
    folder.chmod(0o755)
    site = make_site(tmp_path / "site", Wishes(workers=1))
    daemon = Daemon(site)
    try:
        with dovecot.running(folder) as server:
            yield Desk(site, daemon, server)
    finally:
        daemon.kill()
        shutil.rmtree(folder)


def letters(way: str, count: int, start: int = 0) -> list[bytes]:
    return [
        f"From: Kim <kim@customer.example>\nTo: support@example.com\n"
        f"Subject: {way} {n}\nMessage-ID: <{way}.{n}@customer.example>\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0100\n\n.dot\nMail {n}\n".encode()
        for n in range(start, start + count)
    ]


def each_once(way: str, count: int) -> dict[str, int]:
    return {f"{way} {n}": 1 for n in range(count)}


@pytest.mark.parametrize("way", WAYS)
def test_200_mails_come_once_each(desk: Desk, way: str):
    desk.server.deliver(way, *letters(way, 200))
    desk.fetch(way)
    with running(desk.daemon):
        desk.has(each_once(way, 200))
        desk.server.deliver(way, *letters(way, 1, 200))
        desk.has(each_once(way, 201))
        until("it is noted", lambda: desk.status(way).fetched == 201)
        assert desk.daemon.stop() == 0
    assert (desk.status(way).fetched, desk.status(way).error) == (201, "")
    kept = 201 if way in {"keeping", "stls"} else 0
    assert len(desk.server.mails(way)) == kept
    # Modified UTF-7, as Dovecot writes it on the disk.
    assert len(desk.server.mails(way, "Fertig &- gut")) == 201 * (way == "moving")


def test_idle_brings_a_mail_within_seconds(desk: Desk):
    desk.server.deliver("imaps", *letters("imaps", 1))
    desk.fetch("imaps", every="1h")
    with running(desk.daemon):
        desk.has(each_once("imaps", 1))
        desk.server.deliver("imaps", *letters("imaps", 1, 1))
        desk.has(each_once("imaps", 2), seconds=10)


@pytest.mark.parametrize("way", ["imaps", "pop3s", "keeping"])
def test_p09_killed_and_started_in_the_middle_each_mail_comes_once(
    desk: Desk, way: str
):
    desk.server.deliver(way, *letters(way, 200))
    desk.fetch(way)
    for _ in range(3):
        desk.daemon.start()
        desk.more_come()
        desk.daemon.kill()
    with running(desk.daemon):
        desk.has(each_once(way, 200))


def test_one_mail_by_lmtp_and_by_imap_is_one_article(desk: Desk):
    (letter,) = letters("imaps", 1)
    desk.server.deliver("imaps", b"Delivered-To: desk@provider.example\n" + letter)
    desk.fetch("imaps")
    site = desk.site
    with running(desk.daemon):
        desk.has(each_once("imaps", 1))
        spec = Spec(
            smtp=site.smtp, lmtp=site.lmtp, config=str(site.config), ledger="", seed=1
        )
        parcel = Parcel(
            message_id="",
            sender="kim@customer.example",
            recipients=("support@example.com",),
            content=letter.replace(b"\n", b"\r\n"),
        )
        assert by_lmtp(spec, parcel).startswith("250")
        with composed(site) as app:
            until("nothing waits", lambda: not sum(app.spool.counts().values()))
    assert desk.titles() == each_once("imaps", 1)
