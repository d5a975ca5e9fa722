"""`otrsd reload`: new configuration without a lost connection, or the old one stays."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow


def write_queue(site: Any, name: str, address: str) -> None:
    text = f"queues:\n  {name}: {{address: {address}}}\n"
    (site.folder / f"config/30-{name}.yaml").write_text(text)


def test_reload_takes_the_new_configuration(site: Any) -> None:
    daemon = site.start()
    write_queue(site, "sales", "sales@acme.test")
    reloaded = site.otrsd("reload")
    assert reloaded.returncode == 0, reloaded.stderr
    site.send("to the new queue", to="sales@acme.test")
    site.until(lambda: "to the new queue" in site.titles())
    assert "sales@acme.test" in (site.state / "pipe.json").read_text()
    found = site.otrsd("status", "--json")
    assert f'"pid": {daemon}' in found.stdout
    assert site.stop() == 0


def test_reload_loads_plugins_anew(site: Any) -> None:
    plugin = site.folder / "plugins/mark.py"
    source = (
        "import otrsd\n\n\n@otrsd.hookimpl\n"
        "def amend_ticket(mail, envelope, draft):\n"
        "    return otrsd.Changes(title='by WHICH')\n"
    )
    plugin.write_text(source.replace("WHICH", "one"))
    site.start()
    site.send("x")
    site.until(lambda: site.titles() == ["by one"])
    plugin.write_text(source.replace("WHICH", "two"))
    assert site.otrsd("reload").returncode == 0
    site.send("y")
    site.until(lambda: sorted(site.titles()) == ["by one", "by two"])


def test_broken_configuration_keeps_the_old_one(site: Any) -> None:
    site.start()
    (site.folder / "config/30-bad.yaml").write_text(
        "queues:\n  x: {adress: a@b.test}\n"
    )
    refused = site.otrsd("reload")
    assert refused.returncode == 1
    assert "config/30-bad.yaml:2:7: error: unknown key 'adress'" in refused.stdout
    assert "keeps the configuration it had" in refused.stderr
    assert site.events("config.reload.failed")
    site.send("still here")
    (site.folder / "config/30-bad.yaml").unlink()
    site.until(lambda: site.titles() == ["still here"])
    assert site.otrsd("reload").returncode == 0


def test_port_that_can_not_be_opened_keeps_the_old_ways_in(site: Any) -> None:
    site.start()
    path = site.folder / "otrsd.yaml"
    before = path.read_text()
    foreign = "address: 192.0.2.1, port: 1, allow: [192.0.2.0/24]"
    path.write_text(before.replace(f"address: 127.0.0.1, port: {site.smtp}", foreign))
    refused = site.otrsd("reload")
    assert refused.returncode == 1
    assert "192.0.2.1:1 can't be opened" in refused.stdout
    site.send("by the old port")
    site.until(lambda: site.titles() == ["by the old port"])


def test_reload_without_a_daemon(site: Any) -> None:
    refused = site.otrsd("reload")
    assert (refused.returncode, "no daemon runs" in refused.stderr) == (3, True)


def send(port: int, subject: str) -> str:
    """Send one mail; return the reply that ended it, empty for a broken connection."""
    content = f"To: help@acme.test\r\nSubject: {subject}\r\n\r\nHi\r\n.\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        replies = connection.makefile("rb")
        reply = replies.readline()
        for line in (
            *("HELO me.test", "MAIL FROM:<me@example.org>", "RCPT TO:<help@acme.test>"),
            *("DATA", content),
        ):
            if not reply.startswith((b"2", b"3")):
                break
            with suppress(BrokenPipeError, ConnectionResetError):
                # After a 421 nobody reads any more; the reply is there all the same.
                connection.sendall(line.encode() + b"\r\n" * (line != content))
            reply = replies.readline()
        return reply.decode()


def test_reload_under_load_loses_nothing(site: Any) -> None:
    daemon = site.start()
    replies: dict[str, str] = {}
    over = threading.Event()

    def keep_sending(name: str) -> None:
        number = 0
        while not over.is_set():
            number += 1
            replies[f"{name}-{number}"] = send(site.smtp, f"{name}-{number}")

    threads = [threading.Thread(target=keep_sending, args=(n,)) for n in "abc"]
    for thread in threads:
        thread.start()
    for n in range(3):
        write_queue(site, f"q{n}", f"q{n}@acme.test")
        assert site.otrsd("reload").returncode == 0
    os.kill(daemon, signal.SIGHUP)
    site.until(lambda: len(site.events("config.reloaded")) == 4)
    over.set()
    for thread in threads:
        thread.join()
    # No connection is refused or broken off; a session that the old receiver had may
    # be asked to come again.
    assert {reply[:3] for reply in replies.values()} <= {"250", "421"}
    taken = sorted(name for name, reply in replies.items() if reply.startswith("250"))
    site.until(lambda: len(site.titles()) >= len(taken))
    assert sorted(site.titles()) == taken
    assert len(taken) > 30
    assert len(replies) - len(taken) <= 3 * 4
