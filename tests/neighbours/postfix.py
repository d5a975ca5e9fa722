"""A Postfix of our own in a folder, which serves example.com and hands mail over.

``support@`` by LMTP, ``help@`` by an alias (run as ``nobody``), ``orders@`` by pipe(8);
``games@`` has a mailbox here; all of tickets.example.com goes by LMTP. The machine's
own Postfix and its /etc/postfix are not touched. docs/howto/postfix.md says what these
files say.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import SERVICES, listens
from bench.waiting import until

#: Somebody who has an account on every Debian.
MAILBOX = "games"
_MASTER = (
    SERVICES
    + """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
showq unix n - n - - showq
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
local unix - n n - - local
scache unix - - n - 1 scache
otrsd unix - n n - 5 pipe
  flags=Rq user={user} null_sender=
  argv={command} pipe -c {site} -f ${{sender}} -- ${{original_recipient}}
"""
)
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_spool_directory = {folder}/mail
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
mail_owner = postfix
myhostname = mx.example.com
mydestination = example.com
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{relay}
recipient_delimiter = +
relay_domains = tickets.example.com
relay_recipient_maps = inline:{{ desk@tickets.example.com=otrsd }}
alias_maps = $default_database_type:{folder}/etc/aliases
alias_database = $alias_maps
local_recipient_maps = proxy:unix:passwd.byname $alias_maps
  inline:{{ support@example.com=otrsd, orders@example.com=otrsd }}
transport_maps = inline:{{
  {{ support@example.com = lmtp:inet:127.0.0.1:{lmtp} }},
  {{ tickets.example.com = lmtp:inet:127.0.0.1:{lmtp} }},
  {{ orders@example.com = otrsd: }} }}
"""
_ALIASES = """\
postmaster: {mailbox}
mailer-daemon: {mailbox}
help: "|{command} pipe -c {site}"
absent: "|/nowhere/otrsd pipe"
broken: "|{command} --no-such-option"
careful: "|{command} --no-such-option || exit 75"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """What Postfix must know of the others."""

    #: Where it listens; otrsd's LMTP; the smarthost for mail that is not for here.
    port: int
    lmtp: int
    relay: int
    #: The command ``otrsd``, its site, and the daemon's user.
    command: Path
    site: Path
    user: str


class Postfix:
    """One instance; the folder must let others through."""

    def __init__(self, folder: Path, around: Neighbourhood) -> None:
        self.folder = folder
        self.port = around.port
        self._settings = folder / "etc"
        for name in ("etc", "queue", "data", "mail"):
            (folder / name).mkdir(parents=True)
        shutil.chown(folder / "data", "postfix")
        (folder / "mail").chmod(0o1777)
        words = {
            "folder": folder,
            "port": around.port,
            "lmtp": around.lmtp,
            "relay": around.relay,
            "command": around.command,
            "site": around.site,
            "user": around.user,
            "mailbox": MAILBOX,
        }
        for name, text in (
            ("main.cf", _MAIN),
            ("master.cf", _MASTER),
            ("aliases", _ALIASES),
        ):
            (self._settings / name).write_text(text.format(**words), "utf-8")
        self._run("postalias", str(self._settings / "aliases"))

    def start(self) -> None:
        """Start it and wait until it listens; its own check must find nothing."""
        checked = self._run("postfix", "check")
        assert checked.stderr == ""
        self._run("postfix", "start")
        until("Postfix listens", lambda: listens(self.port), seconds=15)

    def stop(self) -> None:
        """End it with all of its processes."""
        self._run("postfix", "abort", check=False)

    def set(self, **settings: object) -> None:
        """Change settings of main.cf and let them count."""
        self._run("postconf", "-e", *(f"{k}={v}" for k, v in settings.items()))
        self._run("postfix", "reload")

    def flush(self) -> None:
        """Try everything that waits now, as ``postqueue -f`` does."""
        self._run("postqueue", "-f")

    def drop_all(self) -> None:
        """Throw everything away that waits."""
        self._run("postsuper", "-d", "ALL")

    def waiting(self) -> list[dict[str, str]]:
        """Return recipient and reason of all that it keeps (``mailq``)."""
        listed = self._run("postqueue", "-j").stdout.splitlines()
        return [
            {"to": to["address"], "why": to.get("delay_reason", "")}
            for mail in map(json.loads, listed)
            for to in mail["recipients"]
        ]

    def mailbox(self) -> str:
        """Return the mailbox that Postfix itself serves."""
        path = self.folder / "mail" / MAILBOX
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def log(self) -> str:
        """Return what it has logged."""
        return (self.folder / "postfix.log").read_text("utf-8", "replace")

    def results(self, to: str) -> list[str]:
        """Return what became of each delivery to ``to``: sent, deferred, bounced."""
        lines = [line for line in self.log().splitlines() if f"to=<{to}>" in line]
        return [line.split("status=")[1].split()[0] for line in lines]

    def _run(
        self, program: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        # -c is each program's option, postfix takes its verb behind it.
        done = subprocess.run(
            [program, "-c", str(self._settings), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr
        return done


@contextmanager
def running(postfix: Postfix) -> Iterator[Postfix]:
    """Start an instance and see to it that nothing of it is left."""
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()
