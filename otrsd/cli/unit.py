"""The systemd unit of a site: ``Type=notify``, a watchdog, and few rights.

In: the site's folder, the daemon's user, the command. Out: the unit as text; nothing
is installed. What the sandbox hides is fitted to where site and command lie, so that
a site below /home works and one in /srv sees no home at all. systemd.exec(5),
systemd.service(5); ``systemd-analyze security --offline=true`` gives at most 1.5.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - looked at, not used

_TEXT = """\
# systemd unit of a site of otrsd, made by `otrsd init`.
# To use it: systemctl enable --now, with the full path of this file.
# A port that otrsd.yaml opens must stand in SocketBindAllow.

[Unit]
Description=otrsd, mail to tickets ({plain_folder})
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
ExecStart={command} -c {file} run
# It waits, and fails where the new configuration has a mistake; the old one stays.
ExecReload={command} -c {file} reload
Restart=on-failure
RestartSec=2
# A configuration with a mistake (78) does not get better by trying again.
RestartPreventExitStatus=78
WatchdogSec=60
TimeoutStartSec=120
TimeoutStopSec=60
KillMode=mixed
OOMPolicy=continue

User={user}
UMask=0077
WorkingDirectory={plain_folder}
ReadWritePaths={state}
# A secret that no file of the site holds: {{$credential: NAME}} in YAML reads it.
#LoadCredential=NAME:{plain_folder}/credentials/NAME
Environment=PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1

LimitNOFILE=8192
LimitCORE=0
TasksMax=256
MemoryHigh=1G
MemoryMax=2G

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictNamespaces=yes
KeyringMode=private
RemoveIPC=yes

ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp={private_tmp}
PrivateDevices=yes
DevicePolicy=closed
PrivateMounts=yes
ProtectProc=invisible
ProcSubset=pid
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
InaccessiblePaths={inaccessible}
NoExecPaths=/
ExecPaths={executable}
# PrivateUsers is left out: it would hide who hands a mail over at var/submit.sock.

SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @mount @swap @reboot @debug @obsolete
SystemCallFilter=~@raw-io @cpu-emulation @clock @module
SystemCallErrorNumber=EPERM
MemoryDenyWriteExecute=yes

RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SocketBindDeny=any
{binds}
IPAddressDeny=link-local multicast

[Install]
WantedBy=multi-user.target
"""
#: The ports of the otrsd.yaml that `otrsd init` writes.
PORTS = (8024, 8025, 8026)


def unit_text(*, folder: Path, user: str, command: Path) -> str:
    """Return the unit for a site in ``folder``."""
    places = (folder, command, Path(sys.prefix), Path(sys.base_prefix))
    in_home = _any_below(places, _HOMES)
    hidden = ["/etc/shadow", "/etc/ssh", "/boot"]
    if not _any_below(places, (Path("/root"),)):
        hidden.append("/root")
    return _TEXT.format(
        file=_word(folder / "otrsd.yaml", of_command=True),
        state=_word(folder / "var"),
        plain_folder=str(folder).replace("%", "%%"),
        command=_word(command, of_command=True),
        user=user,
        protect_home="read-only" if in_home else "yes",
        private_tmp="no" if _any_below(places, _TEMPORARY) else "yes",
        inaccessible=" ".join(f"-{path}" for path in hidden),
        executable=_executable(command),
        binds="\n".join(f"SocketBindAllow=tcp:{port}" for port in PORTS),
    )


def _executable(command: Path) -> str:
    """Return the folders whose programs and libraries may run."""
    own = {command.parent, Path(sys.prefix), Path(sys.base_prefix)}
    system = [Path(p) for p in ("/usr", "/lib", "/lib64", "/bin")]
    more = sorted(path for path in own if not _any_below((path,), tuple(system)))
    return " ".join(_word(Path(f"-{path}")) for path in (*system, *more))


def _any_below(places: tuple[Path, ...], folders: tuple[Path, ...]) -> bool:
    return any(place.is_relative_to(folder) for place in places for folder in folders)


def _word(path: Path, *, of_command: bool = False) -> str:
    """Write a path so that systemd reads it back as one word (systemd.syntax(7))."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    if of_command:
        # Only there a dollar sign names a variable (systemd.service(5)).
        text = text.replace("$", "$$")
    return f'"{text}"' if set(text) & set(" '\"\\") else text
