"""Which MTA this machine has, and the lines with which it hands mail to otrsd.

Postfix and Exim by LMTP and SMTP over loopback (nothing to do with file modes or
chroot), everything else by an alias. Nothing is changed here and no program is run:
only what a person may copy is returned.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Lines = Callable[[str, str, str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mta:
    """One MTA: its name, and its lines for an address, our command, our folder."""

    name: str
    lines: Lines


def found_mta(environ: Mapping[str, str], root: Path = Path("/")) -> Mta:
    """Return the MTA whose configuration or program is on this machine."""
    path = environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    for mta, folder, program in (
        (Mta(name="Postfix", lines=_postfix(root)), "etc/postfix", "postconf"),
        (Mta(name="Exim", lines=_exim), "etc/exim4", "exim4"),
        (Mta(name="OpenSMTPD", lines=_opensmtpd), "etc/smtpd.conf", "smtpctl"),
    ):
        if (root / folder).exists() or (
            root == Path("/") and shutil.which(program, path=path)
        ):
            return mta
    return Mta(name="any MTA with /etc/aliases", lines=_alias)


def _postfix(root: Path) -> Lines:
    def lines(address: str, command: str, folder: str) -> list[str]:
        main = root / "etc/postfix/main.cf"
        entry = f"inline:{{ {address}=lmtp:inet:127.0.0.1:8024 }}"
        known = f"inline:{{ {address}=otrsd }}"
        before = setting(main, "transport_maps")
        maps = f"{before}, {entry}" if before else entry
        local = setting(main, "local_recipient_maps") or (
            "proxy:unix:passwd.byname $alias_maps"
        )
        return [
            f"postconf -e 'transport_maps = {maps}'",
            "# and, where its domain stands in mydestination, so that it is known:",
            f"postconf -e 'local_recipient_maps = {local} {known}'",
            "postfix reload",
            "# or in /etc/aliases, then newaliases:",
            *_alias(address, command, folder),
        ]

    return lines


def setting(main: Path, name: str) -> str:
    """Return a setting of main.cf on one line; empty where it is not set."""
    try:
        text = main.read_text("utf-8", "replace")
    except OSError:
        return ""
    # Lines that begin with a blank go on; a comment in between does not end them.
    text = re.sub(r"(?m)^#.*\n", "", text)
    text = re.sub(r"\n[ \t]+", " ", text)
    found = re.findall(rf"(?m)^{name}[ \t]*=[ \t]*(.*)$", text)
    value: str = found[-1].strip() if found else ""
    return "" if "'" in value else value


def _exim(address: str, command: str, folder: str) -> list[str]:
    local, _, domain = address.rpartition("@")
    return [
        "# a router, before those for local users:",
        "otrsd:",
        "  driver = manualroute",
        f"  domains = {domain}",
        f"  local_parts = {local}",
        "  transport = otrsd_lmtp",
        "  route_list = * 127.0.0.1 byname",
        "  self = send",
        "# a transport:",
        "otrsd_lmtp:",
        "  driver = smtp",
        "  protocol = lmtp",
        "  port = 8024",
        "  hosts_override = true",
        "# or in /etc/aliases:",
        *_alias(address, command, folder),
    ]


def _opensmtpd(address: str, command: str, folder: str) -> list[str]:
    _ = command, folder
    return [
        "# smtpd.conf, before the other matches:",
        f'table otrsd {{ "{address}" }}',
        "action otrsd lmtp 127.0.0.1:8024 rcpt-to",
        "match from any for rcpt-to <otrsd> action otrsd",
    ]


def _alias(address: str, command: str, folder: str) -> list[str]:
    local = address.rpartition("@")[0]
    # 75, whatever breaks: then the MTA keeps the mail and tries again.
    return [f'{local}: "|{command} pipe -c {folder} || exit 75"']
