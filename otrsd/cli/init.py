"""``otrsd init``: a site of one's own, made of an example; asks nothing.

In: a folder, an address, the name of an example. Out: ``otrsd.yaml``, ``config/``,
``plugins/``, the state folder ``var/`` with its database, and a systemd unit; on
stdout what was made and how the MTA of this machine hands its mail over. Fails with
``InputError`` before anything is written where there is a site already or the address
is none; a file that exists is never written to.
"""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from otrsd.cli.site import Site
from otrsd.errors import InputError, NotFoundError

EXAMPLES = ("helpdesk", "minimal", "monitoring")
#: Stands in the examples wherever the site's own address belongs.
_ADDRESS = "support@example.com"
_DOMAIN = "example.com"
#: For the owner and the daemon's group; only the owner writes.
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
#: An MTA runs the pipe as somebody who has to get through to var/pipe.json.
_TOP_MODE = 0o751


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the new site is to be."""

    folder: Path
    address: str
    example: str
    #: Whose the state is, and as whom the daemon runs.
    user: str
    #: The command as the unit and the MTA call it.
    command: Path

    @property
    def domain(self) -> str:
        """Return the part behind the @."""
        return self.address.rpartition("@")[2]


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--address", default=_ADDRESS, help="Where your customers write to.")
@click.option(
    "--example",
    type=click.Choice(EXAMPLES),
    default="helpdesk",
    show_default=True,
    help="What the site is made of.",
)
@click.option("--user", help="As whom the daemon runs [you; otrsd where you are root].")
@click.pass_obj
def init(
    site: Site, folder: Path, *, address: str, example: str, user: str | None
) -> int:
    """Make a site in FOLDER: configuration, state, a systemd unit.

    Nothing is asked, and no file that exists is overwritten. At the end it prints the
    lines with which the MTA of this machine hands the address over.
    """
    wanted = Wanted(
        folder=folder.absolute(),
        address=_checked(address),
        example=example,
        user=user or _default_user(),
        command=_command(),
    )
    make(wanted, site)
    for line in report(wanted):
        click.echo(line)
    return 0


def make(wanted: Wanted, site: Site) -> None:
    """Write the site, make its state, and check what came of it."""
    folder = wanted.folder
    _refuse_existing(folder)
    made = [
        each
        for name, mode in (
            ("", _TOP_MODE),
            ("config", _FOLDER_MODE),
            ("plugins", _FOLDER_MODE),
        )
        if _make_folder(each := folder / name, mode)
    ]
    made += [
        folder / name
        for name, text in files(wanted).items()
        if _write(folder / name, text)
    ]
    _make_state(folder, site)
    _give_away(wanted, made)


def files(wanted: Wanted) -> dict[str, str]:
    """Return the text of every file of the new site by its name."""
    from otrsd.cli.unit import unit_text

    examples = examples_folder()
    found = {"otrsd.yaml": (examples / "otrsd.yaml").read_text("utf-8")}
    for path in sorted((examples / wanted.example).glob("*.yaml")):
        found[f"config/{path.name}"] = path.read_text("utf-8")
    texts = {name: _made_own(text, wanted) for name, text in found.items()}
    texts["otrsd.yaml"] = texts["otrsd.yaml"].replace(
        f"timezone: {'UTC':<20}", f"timezone: {_timezone():<20}", 1
    )
    texts["plugins/README"] = _PLUGINS
    texts["otrsd.service"] = unit_text(
        folder=wanted.folder, user=wanted.user, command=wanted.command
    )
    return texts


def examples_folder() -> Path:
    """Return the folder of the example sites; it travels in the package."""
    return Path(__file__).resolve().parent.parent / "examples"


def report(wanted: Wanted) -> list[str]:
    """Return what a person reads at the end."""
    from otrsd.cli.mta import found_mta

    folder = shlex.quote(str(wanted.folder))
    command = shlex.quote(str(wanted.command))
    lines = [f"made a site in {wanted.folder} ({wanted.example}, {wanted.address})"]
    lines += [f"  {name}" for name in (*files(wanted), "var/")]
    if wanted.address == _ADDRESS:
        lines.append(f"  {_ADDRESS} is only an example; write yours into config/")
    lines += ["", "start it:", f"  cd {folder} && {command} check && {command} run"]
    mta = found_mta(os.environ)
    lines += ["", f"let mail in ({mta.name}):"]
    lines += [f"  {line}" for line in mta.lines(wanted.address, command, folder)]
    lines += ["", "as a service:"]
    if not _exists(wanted.user):
        user = wanted.user
        lines += [
            f"  useradd --system --no-create-home --shell /usr/sbin/nologin {user}",
            f"  chgrp -R {user} {folder} && chown -R {user}: {folder}/var",
        ]
    lines += [f"  systemctl enable --now {folder}/otrsd.service"]
    return lines


_PLUGINS = """\
One Python file here is one plugin; `otrsd plugins new NAME` writes one with a test.
`otrsd plugins list` shows those that run: the shipped ones (spam, robots, monitoring)
come with otrsd itself, and a file of the same name here stands for a shipped one.
"""


def _refuse_existing(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is no folder. Name another: otrsd init DIR")
    there = [
        str(path.relative_to(folder))
        for path in (folder / "otrsd.yaml", *sorted((folder / "config").glob("*.yaml")))
        if path.exists()
    ]
    if there:
        raise InputError(
            f"there is a site in {folder} already ({', '.join(there)}); nothing was "
            "written. Name another folder: otrsd init DIR, or look at this one: "
            "otrsd check"
        )


def _make_folder(path: Path, mode: int) -> bool:
    """Make a folder; tell whether it was not there before."""
    if path.is_dir():
        return False
    path.mkdir(parents=True)
    path.chmod(mode)
    return True


def _write(path: Path, text: str) -> bool:
    """Write a new file; tell whether: one that is there stays as it is."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, _FILE_MODE)
    except FileExistsError:
        click.echo(f"otrsd: {path} is there already and stays as it is", err=True)
        return False
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        os.fchmod(descriptor, _FILE_MODE)
        file.write(text)
    return True


def _make_state(folder: Path, site: Site) -> None:
    """Make the state folder: the pipe takes mail before the first start."""
    from otrsd.app import load
    from otrsd.clock import SystemClock
    from otrsd.daemon.runs import prepare_state
    from otrsd.store.schema import upgrade

    before = os.umask(0o077)
    # A state folder named for another site is none of this one's business.
    environ = {k: v for k, v in site.environ.items() if k != "OTRSD_STATE"}
    app = load(folder / "otrsd.yaml", environ, SystemClock())
    try:
        prepare_state(app)
        upgrade(app.database)
        app.desk()
        app.spool.counts()
    finally:
        app.close()
        os.umask(before)


def _give_away(wanted: Wanted, made: Sequence[Path]) -> None:
    """Give the state to the daemon's user, and its group a look at the rest."""
    if os.geteuid() != 0 or not _exists(wanted.user):
        return
    entry = pwd.getpwnam(wanted.user)
    for path in made:
        os.chown(path, 0, entry.pw_gid)
    state = wanted.folder / "var"
    for path in (state, *state.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _checked(address: str) -> str:
    from otrsd.config.values import address as check_address

    try:
        return check_address(address)
    except ValueError as error:
        raise InputError(f"--address {error}, not {address!r}") from None


def _made_own(text: str, wanted: Wanted) -> str:
    """Put the site's own address and domain in, quoted where YAML needs it."""
    address = wanted.address
    quoted = address if address[0].isalnum() else f'"{address}"'
    return text.replace(_ADDRESS, quoted).replace(_DOMAIN, wanted.domain)


def _timezone() -> str:
    """Return the time zone of this machine; UTC where it tells none."""
    from otrsd.config.values import timezone

    linked = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")[2]
    try:
        return timezone(linked or "UTC")
    except ValueError:
        return "UTC"


def _default_user() -> str:
    uid = os.geteuid()
    if uid == 0:
        return "otrsd"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise NotFoundError(
            f"your uid {uid} has no name here. Name the daemon's user: --user NAME"
        ) from None


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _command() -> Path:
    """Return the command's own path: units and MTAs have no PATH of yours."""
    called = Path(sys.argv[0])
    if called.name == "otrsd" and called.exists():
        return called.absolute()
    return Path(sys.executable).with_name("otrsd")
