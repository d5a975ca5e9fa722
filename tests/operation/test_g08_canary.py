"""Row G08: no secret of a site is in anything that its daemon and commands say.

A backup holds the site's own files, secrets and all: it is as secret as they are.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import AuthResult

from otrsd.store import traces
from otrsd.store.engine import Database
from tests.smarthosts import AnyPort

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow

CANARY = "Canary4711"
SEND = """
send: {{host: 127.0.0.1, port: {port}, ca_file: ca.pem, username: u,
  password: {canary}-inline}}   # before: {canary}-comment
fetch:
  box: {{protocol: imap, host: 127.0.0.1, port: 1, tls: none, username: u,
    password: {canary}-box}}
"""
PLUGIN = """
from otrsd import Names, Settings as BaseSettings, hookimpl

class Settings(BaseSettings):
    api_token: str = ""
    url: str = ""
    password: Names = ()

class Plugin:
    def __init__(self, settings):
        self._settings = settings

    @hookimpl
    def amend_ticket(self, mail):
        settings, token = self._settings, self._settings.api_token
        raise RuntimeError(f"can't log in with {settings}, {settings!r}")
"""
SETTINGS = """
plugins: {{settings: {{leaky: {{api_token: {{$env: LEAKY}},
  url: 'https://u:{canary}-url@h/', password: [{canary}-list]}}}}}}
"""
COMMANDS = (
    ("check",),
    ("config", "dump"),
    ("config", "dump", "--json"),
    ("config", "get", "send.password"),
    ("config", "get", "plugins"),
    ("doctor",),
    ("doctor", "--nagios"),
    ("status", "--json"),
    ("plugins", "list"),
    ("spool", "list", "--out"),
    ("reload",),
)


class Refusing:
    """A smarthost that knows nobody."""


@pytest.fixture
def guarded(site: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a running site with a canary in every secret place."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(site.folder / "ca.pem"))
    smarthost = AnyPort(
        Refusing(),
        tls_context=context,
        authenticator=lambda *_a: AuthResult(success=False, handled=False),
    )
    smarthost.start()
    (site.folder / "plugins/leaky.py").write_text(PLUGIN)
    with (site.folder / "otrsd.yaml").open("a") as file:
        file.write(SEND.format(port=smarthost.port, canary=CANARY))
        file.write(SETTINGS.format(canary=CANARY))
    monkeypatch.setenv("LEAKY", f"{CANARY}-env")
    site.pid = site.start(OTRSD_LOG_LEVEL="debug")
    site.send("Hello")
    site.until(lambda: site.titles() == ["Hello"])
    yield site
    smarthost.stop()


def test_g08_no_secret_is_told_by_anybody(guarded: Any) -> None:
    guarded.until(lambda: guarded.events("article.deferred"))
    listed = guarded.otrsd("ticket", "list", "--json")
    number = json.loads(listed.stdout)[0]["number"]
    said = told(guarded, *COMMANDS, ("explain", number))
    assert "can't log in with" in said
    crash = guarded.otrsd("ticket", "show", "99", OTRSD_DEBUG="1").stderr
    assert "Traceback" in crash
    assert CANARY not in said + crash + (guarded.folder / "log").read_text()


def test_g08_no_secret_is_seen_from_outside(guarded: Any) -> None:
    shown = [
        (folder / name).read_bytes()
        for folder in processes(guarded)
        for name in ("cmdline", "environ")
    ]
    assert len(shown) > 8
    assert CANARY.encode() not in b"".join(shown)


def test_g08_no_secret_is_kept(guarded: Any) -> None:
    assert guarded.stop() == 0
    kept = [path for path in guarded.state.rglob("*") if path.is_file()]
    assert {"desk.db", "spool.db"} <= {path.name for path in kept}
    assert [path for path in kept if CANARY.encode() in path.read_bytes()] == []
    assert snapshots(guarded)
    assert CANARY not in snapshots(guarded)


def test_g08_a_database_that_is_away_tells_no_password(site: Any) -> None:
    path = site.folder / "otrsd.yaml"
    url = f"'postgresql+psycopg://u:{CANARY}@127.0.0.1:1/db'"
    path.write_text(path.read_text().replace("site:", f"site:\n  database: {url}"))
    said = told(site, *COMMANDS, ("run",), ("ticket", "list"), ("backup", "x.tar"))
    assert "does not answer" in said
    assert CANARY not in said


def told(site: Any, *commands: tuple[str, ...]) -> str:
    """Return all that these commands say."""
    done = [site.otrsd(*command) for command in commands]
    return "".join(each.stdout + each.stderr for each in done)


def snapshots(site: Any) -> str:
    """Return the stored configurations."""
    database = Database(f"sqlite:///{site.state / 'desk.db'}")
    with database.read() as connection:
        names = connection.exec_driver_sql("SELECT hash FROM snapshot").scalars()
        found = [traces.read_snapshot(connection, name) for name in names]
    database.close()
    return str(found) if found else ""


def processes(site: Any) -> Iterator[Path]:
    """Yield the folder in /proc of the daemon and all its children."""
    wanted = {site.pid}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        if int(folder.name) in wanted or int(fields[1]) in wanted:
            wanted.add(int(folder.name))
            yield folder
