#!/usr/bin/env python3
"""As much of ``systemctl`` as the tutorial uses, for a machine without systemd.

``enable --now FILE`` starts the unit's ExecStart as its User and returns when it has
said READY=1; ``reload`` runs ExecReload; ``stop`` and ``restart`` do what they say.
"""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

RUN = Path("/opt/.systemctl")


def read(unit: Path) -> dict[str, str]:
    lines = unit.read_text("utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line[:1] not in "#[")
    return {key: value for key, _, value in pairs}


def command(words: str) -> list[str]:
    return [each.replace("%%", "%").replace("$$", "$") for each in shlex.split(words)]


def start(unit: Path) -> int:
    settings = read(unit)
    user = pwd.getpwnam(settings["User"])
    address = "\0otrsd-test-notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(60)
        environ = dict(each.split("=", 1) for each in settings["Environment"].split())
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH")}
        with Path("/var/log/otrsd.log").open("ab") as log:
            process = subprocess.Popen(
                command(settings["ExecStart"]),
                env={**kept, **environ, "NOTIFY_SOCKET": "@" + address[1:]},
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                umask=int(settings["UMask"], 8),
                cwd=settings["WorkingDirectory"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        RUN.mkdir(exist_ok=True)
        (RUN / unit.stem).write_text(f"{process.pid}\n{unit}\n")
        while b"READY=1" not in notify.recv(4096):
            if process.poll() is not None:
                return 1
    return 0


def known(name: str) -> tuple[int, Path]:
    pid, unit = (RUN / name.removesuffix(".service")).read_text().split()
    return int(pid), Path(unit)


def stop(name: str) -> int:
    pid, _ = known(name)
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    import select

    return 0 if select.select([descriptor], [], [], 60)[0] else 1


def main() -> int:
    match sys.argv[1:]:
        case ["enable", "--now", unit]:
            return start(Path(unit))
        case ["stop", name]:
            return stop(name)
        case ["restart", name]:
            return stop(name) or start(known(name)[1])
        case ["reload", name]:
            words = command(read(known(name)[1])["ExecReload"])
            return subprocess.run(words, check=False).returncode
        case _:
            said = " ".join(sys.argv[1:])
            raise SystemExit(f"this systemctl can't do that: {said}")


if __name__ == "__main__":
    sys.exit(main())
