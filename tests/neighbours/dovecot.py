"""A Dovecot of our own: one mailbox by IMAP and POP3, on free ports of loopback."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import trustme

from bench.servers import listens
from bench.site import free_ports
from bench.waiting import until

#: Whom the mails belong to.
USER = "daemon"
PASSWORD = "sesame&Ärger"  # noqa: S105 - of a throw-away server
_CONF = """\
base_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
ssl_dh =
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{folder}/%u/Maildir
mail_privileged_group =
default_internal_user = dovecot
default_login_user = dovenull
disable_plaintext_auth = yes
auth_mechanisms = plain login
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={user} home={folder}/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dovecot:
    """The server that runs."""

    folder: Path
    imap: int
    imaps: int
    pop3: int
    pop3s: int

    def maildir(self, user: str, folder: str = "") -> Path:
        """Return a user's folder on disk."""
        return self.folder / user / "Maildir" / (f".{folder}" if folder else "")

    def deliver(self, user: str, *contents: bytes) -> None:
        """Put mails into a mailbox, as an MTA does."""
        maildir = self.maildir(user)
        for name in ("tmp", "new", "cur"):
            (maildir / name).mkdir(parents=True, exist_ok=True)
        for path in (self.folder / user, *(self.folder / user).rglob("*")):
            shutil.chown(path, USER, USER)
        numbers = count(sum(1 for _ in self.folder.rglob("*.test*")))
        for number, content in zip(numbers, contents, strict=False):
            path = maildir / "tmp" / f"{1_800_000_000 + number}.test"
            path.write_bytes(content)
            shutil.chown(path, USER, USER)
            path.rename(maildir / "new" / path.name)

    def mails(self, user: str, folder: str = "") -> list[bytes]:
        """Return what is in a folder now."""
        maildir = self.maildir(user, folder)
        found = [*maildir.glob("new/*"), *maildir.glob("cur/*")]
        return [path.read_bytes() for path in found]


@contextmanager
def running(folder: Path) -> Iterator[Dovecot]:
    """Run a Dovecot in ``folder``, whose authority is ``ca.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server = authority.issue_cert("localhost")
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    imap, imaps, pop3, pop3s = free_ports(4)
    made = Dovecot(folder=folder, imap=imap, imaps=imaps, pop3=pop3, pop3s=pop3s)
    conf = folder / "dovecot.conf"
    ports = {"imap": imap, "imaps": imaps, "pop3": pop3, "pop3s": pop3s}
    conf.write_text(
        _CONF.format(folder=folder, user=USER, password=PASSWORD, **ports), "utf-8"
    )
    process = subprocess.Popen(["dovecot", "-F", "-c", str(conf)])
    try:
        until("Dovecot listens", lambda: listens(pop3s) and listens(imaps))
        yield made
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
