"""What our receiver is compared with: an aiosmtpd that does nothing, and Postfix.

``python -m bench.servers PORT`` is the first one: aiosmtpd on the same event loop as
ours with a handler that answers 250 and forgets the mail. :func:`postfix` starts an
instance of its own in a folder: ``smtpd`` takes mail, ``discard`` throws it away.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from bench.site import pinned
from bench.waiting import until
from otrsd.channels.receiver import new_loop

#: master(5) of what every Postfix needs, whatever it listens on.
SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
_MASTER = (
    """\
{port} inet n - n - - smtpd
discard unix - - n - - discard
"""
    + SERVICES
)
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
mail_owner = postfix
myhostname = mx.example.com
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
relay_domains = example.com
relay_transport = discard
default_transport = discard
smtpd_relay_restrictions = permit_mynetworks, reject
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
"""


class Nothing:
    """The handler that does nothing."""

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds it by its name
        self, _server: Any, _session: Any, _envelope: Any
    ) -> str:
        """Take the mail and forget it."""
        return "250 2.0.0 OK"


@contextmanager
def nothing(port: int, *, core: int) -> Iterator[int]:
    """Run the aiosmtpd that does nothing; give its port."""
    with pinned(core):
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.servers", str(port)],
            cwd=Path(__file__).parent.parent,
        )
    try:
        until("the handler that does nothing listens", lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def postfix(folder: Path, port: int, *, core: int) -> Iterator[int | None]:
    """Run a Postfix of our own; give its port, or none where it can't be had."""
    command = shutil.which("postfix") or shutil.which("/usr/sbin/postfix")
    if command is None or os.geteuid() != 0:
        yield None
        return
    settings = folder / "etc"
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir(parents=True)
    shutil.chown(folder / "data", "postfix")
    for path in (folder, *folder.parents[:2]):
        if path.owner() == "root" and path.stat().st_mode & 0o077 == 0:
            path.chmod(0o711)
    (settings / "main.cf").write_text(_MAIN.format(folder=folder), "utf-8")
    (settings / "master.cf").write_text(_MASTER.format(port=port), "utf-8")
    with pinned(core):
        told = _postfix(command, settings, "start")
    try:
        with suppress(Exception):
            until("postfix listens", lambda: listens(port), seconds=15)
        if listens(port):
            yield port
        else:
            print(f"postfix does not start, left out: {told}", file=sys.stderr)
            yield None
    finally:
        _postfix(command, settings, "abort")


def _postfix(command: str, settings: Path, verb: str) -> str:
    done = subprocess.run(
        [command, "-c", str(settings), verb],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stderr.strip()[-400:]


def listens(port: int) -> bool:
    """Tell whether somebody takes connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Nothing(), hostname="mx.example.com", loop=loop),
        "127.0.0.1",
        port,
        backlog=512,
    )
    async with server:
        await server.serve_forever()


def main(port: str) -> int:
    """Be the server that does nothing."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(int(port)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
