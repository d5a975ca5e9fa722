"""Row O05: a smarthost that hangs does not keep a stop up, and the mail goes again."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow


def test_o05_a_hanging_smarthost_holds_no_stop_up(site: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with (site.folder / "otrsd.yaml").open("a") as file:
            file.write(f"\nsend: {{host: 127.0.0.1, port: {port}, tls: none}}\n")
        site.start()
        site.send("Hello")
        connection, _ = mute.accept()
        began = time.monotonic()
        assert site.stop() == 0
        assert time.monotonic() - began < 5
        connection.close()
    assert site.events("child.killed") == []
    assert "me@example.org" in site.otrsd("spool", "list", "--out").stdout
    assert site.events("article.deferred")
