"""A machine of its own, made of namespaces: a Debian with Postfix and one mailbox.

Files below /etc, /opt, /srv and where Postfix works are a copy, the network has only
loopback, the processes end with the machine. What a person would type goes into one
shell, block by block. The user ``kim`` reads her mail there; Postfix serves
example.com. Python's packages are this checkout's, so that nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.site import ROOT

#: Copied, so that they can be changed; empty at first.
_COPIED = (
    *("/etc", "/usr/local/bin", "/var/lib/postfix"),
    *("/var/spool/postfix", "/var/backups"),
)
_EMPTY = ("/opt", "/srv", "/var/mail", "/var/log")
_DONE = "-- done --"
_SET_UP = """\
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs {work}
for each in {copied}; do
    mkdir -p {work}/files$each
    cp -a $each/. {work}/files$each
    mount --bind {work}/files$each $each
done
for each in {empty}; do mount -t tmpfs -o mode=755 tmpfs $each; done
chmod 1777 /var/mail
mkdir {work}/python {work}/site {work}/deps {work}/bin
mount --bind {python} {work}/python
mount --bind {packages} {work}/site
for each in {work}/site/*; do
    case ${{each##*/}} in *otrsd*) ;; *) ln -s $each {work}/deps/ ;; esac
done
ln -s {work}/python/bin/{program} {work}/bin/python3
cp {systemctl} {work}/bin/systemctl
chmod 755 {work}/bin/systemctl
cp -a {tree} {work}/tree
# Nobody but root would find his Python there.
mount -t tmpfs -o mode=700 tmpfs /root
ip link set lo up
hostname mx.example.com
useradd --create-home --home-dir /opt/kim --shell /bin/bash kim
cat > /etc/postfix/main.cf <<EOF
compatibility_level = 3.6
myhostname = mx.example.com
mydestination = example.com, localhost
inet_protocols = ipv4
recipient_delimiter = +
alias_maps = hash:/etc/aliases
maillog_file = /var/log/mail.log
EOF
cp -n /usr/share/postfix/master.cf.dist /etc/postfix/master.cf 2>/dev/null || true
printf 'postmaster: kim\\n' > /etc/aliases
newaliases
[ ! -x /usr/lib/postfix/configure-instance.sh ] ||
    /usr/lib/postfix/configure-instance.sh - >/dev/null 2>&1 || true
postfix start >/dev/null 2>&1
cd {work}/tree
unset PYTHONHOME VIRTUAL_ENV
export PATH={work}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PYTHONPATH={work}/deps PYTHONDONTWRITEBYTECODE=1 HOME=/opt LC_ALL=C.UTF-8
export PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_ROOT_USER_ACTION=ignore TZ=UTC COLUMNS=100
exec bash --norc --noprofile
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a block has printed on both streams, and the last code that was not 0."""

    text: str
    code: int


class Machine:
    """A shell on it."""

    def __init__(self, work: Path, shell: subprocess.Popen[str]) -> None:
        self._work = work
        self._shell = shell
        assert shell.stdin
        assert shell.stdout
        self._in: IO[str] = shell.stdin
        self._out: IO[str] = shell.stdout
        self._in.write("set -E; trap 'failed=$?' ERR\n")

    def run(self, block: str) -> Said:
        """Type a block of lines; return what was said until the prompt came."""
        self._in.write(f"failed=0; . /dev/fd/3 3<<'{_DONE}' </dev/null 2>&1\n{block}\n")
        self._in.write(f'{_DONE}\nprintf "\\n{_DONE} %s\\n" "$failed"\n')
        self._in.flush()
        lines: list[str] = []
        for line in self._out:
            if line.startswith(_DONE):
                text = "".join(lines).removesuffix("\n")
                return Said(text=text, code=int(line.split()[-1]))
            lines.append(line)
        raise AssertionError("the shell has ended: " + "".join(lines))


@contextmanager
def machine() -> Iterator[Machine]:
    """Give a machine; nothing of it is left afterwards."""
    work = Path(tempfile.mkdtemp(prefix="otrsd-machine-", dir="/tmp"))
    work.chmod(0o755)
    tree = _tree(Path(tempfile.mkdtemp(prefix="otrsd-tree-", dir="/tmp")))
    words = {
        "work": work,
        "copied": " ".join(_COPIED),
        "empty": " ".join(_EMPTY),
        "python": Path(sys.base_prefix),
        "program": f"python{sys.version_info[0]}.{sys.version_info[1]}",
        "packages": sysconfig.get_path("purelib"),
        "systemctl": Path(__file__).with_name("systemctl.py"),
        "tree": tree,
    }
    space = ["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    shell = subprocess.Popen(
        ["unshare", *space, "--mount-proc", "bash", "-c", _SET_UP.format(**words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": os.environ["PATH"], "TERM": "dumb"},
    )
    try:
        yield Machine(work, shell)
    finally:
        shell.kill()
        shell.wait()
        for end in (shell.stdin, shell.stdout):
            if end:
                end.close()
        work.rmdir()
        shutil.rmtree(tree)


def is_possible() -> bool:
    """Tell whether this machine lets us make one."""
    words = ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--mount-proc"]
    try:
        done = subprocess.run(
            [*words, "mount", "-t", "tmpfs", "tmpfs", "/opt"],
            check=False,
            capture_output=True,
        )
    except OSError:
        return False
    return done.returncode == 0


def _tree(folder: Path) -> Path:
    """Copy what a wheel is made of."""
    for name in ("otrsd", "plugins", "config", "scripts"):
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    (folder / "docs").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "docs/otrsd.1"):
        shutil.copy(ROOT / name, folder / name)
    folder.chmod(0o755)
    return folder
