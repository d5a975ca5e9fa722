"""`otrsd doctor` on an alias: what nobody has to be able to reach."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from otrsd.cli.alias import check_alias
from otrsd.daemon.checks import Level


@pytest.fixture
def root() -> Iterator[Path]:
    """Give a machine with an alias that works; pytest's own folder is closed."""
    made = Path(tempfile.mkdtemp(prefix="otrsd-alias-", dir="/tmp"))
    made.chmod(0o755)
    for name, text, mode in (
        ("etc/aliases", 'support: "|/opt/bin/otrsd pipe -c /srv || exit 75"\n', 0o644),
        ("opt/bin/otrsd", "#!/bin/sh\n", 0o755),
        ("srv/var/pipe.json", "{}\n", 0o644),
    ):
        (made / name).parent.mkdir(parents=True)
        (made / name).write_text(text)
        (made / name).chmod(mode)
    yield made
    shutil.rmtree(made)


def found(root: Path) -> tuple[Level, str]:
    check = check_alias(root / "srv/var", root)
    assert check is not None
    assert bool(check.remedy) == (check.level is not Level.OK)
    return check.level, check.text


def test_alias_that_nobody_can_run_is_well(root: Path) -> None:
    assert found(root) == (Level.OK, f"nobody can run {root}/opt/bin/otrsd")


@pytest.mark.parametrize(
    ("name", "mode"),
    [("opt", 0o750), ("opt/bin/otrsd", 0o750), ("srv", 0o700), ("srv/var", 0o700)],
)
def test_folder_that_is_closed_to_nobody_is_named(
    root: Path, name: str, mode: int
) -> None:
    (root / name).chmod(mode)
    level, text = found(root)
    assert level is Level.CRITICAL
    assert text.endswith(f"the user nobody is kept out by {root}/{name}")


def test_python_behind_a_link_into_a_closed_home_is_named(root: Path) -> None:
    (root / "home").mkdir()
    (root / "home/python").write_text("")
    (root / "home/python").chmod(0o755)
    (root / "opt/bin/python").symlink_to(root / "home/python")
    (root / "opt/bin/otrsd").write_text(f"#!{root}/opt/bin/python\n")
    assert found(root)[0] is Level.OK
    (root / "home").chmod(0o700)
    assert found(root)[1].endswith(f"kept out by {root}/home")


def test_command_that_is_not_there_is_named(root: Path) -> None:
    (root / "opt/bin/otrsd").unlink()
    assert found(root)[1].endswith(f"{root}/opt/bin/otrsd is not there")


@pytest.mark.parametrize(
    "line",
    [
        "support: |/opt/bin/otrsd\n",
        '# support: "|/opt/bin/otrsd pipe"\n',
        'support: "|/usr/bin/procmail pipe"\n',
        'support: "|/opt/bin/otrsd \'pipe"\n',
        "support: kim, \\root\n",
        "\x00\xff: |\n",
    ],
)
def test_other_aliases_are_none_of_ours(root: Path, line: str) -> None:
    (root / "etc/aliases").write_text(line)
    assert check_alias(root / "srv/var", root) is None


def test_alias_that_runs_as_somebody_else_is_not_judged(root: Path) -> None:
    (root / "opt").chmod(0o750)
    (root / "etc/postfix").mkdir()
    (root / "etc/postfix/main.cf").write_text("default_privs = otrsd\n")
    assert check_alias(root / "srv/var", root) is None


def test_aliases_that_main_cf_names_are_read(root: Path) -> None:
    (root / "etc/aliases").rename(root / "etc/others")
    assert check_alias(root / "srv/var", root) is None
    (root / "etc/postfix").mkdir()
    text = "alias_maps = nis:mail,\n  hash:/etc/others\n"
    (root / "etc/postfix/main.cf").write_text(text)
    assert found(root)[0] is Level.OK
