"""The lock, the licences and the papers agree with the project."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.qa.conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)
}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RUNTIME = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCKED = (
    *RUNTIME,
    *(one for name, extra in EXTRAS.items() if name != "oracle" for one in extra),
    *PROJECT["dependency-groups"]["dev"],
    *PROJECT["build-system"]["requires"],
)
#: Licences whose code must not come with ours; LGPL is imported by an extra only.
COPYLEFT = re.compile(r"\b(?:A?GPL|GNU (?:Affero )?General Public)", re.IGNORECASE)


@pytest.mark.parametrize("requirement", LOCKED)
def test_the_lock_satisfies(requirement: str):
    wanted = Requirement(requirement)
    assert Version(PINS[canonicalize_name(wanted.name)]) in wanted.specifier


def test_every_pin_in_the_lock_has_hashes():
    entries = re.split(r"\n(?=[\w.-]+==)", LOCK)[1:] or [LOCK]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_place_on_the_network():
    assert "://" not in LOCK
    assert "--index" not in LOCK


LICENCES = frozenset({"COPYING", "LICENSE", "LICENSE.txt", "LICENSE.md"})


@pytest.mark.parametrize("name", sorted(PINS))
def test_no_installed_package_is_copyleft(name: str):
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    metadata = package.metadata.json
    told = [
        str(metadata.get("license_expression", "")),
        str(metadata.get("license", "")).split("\n")[0],
        *(one for one in metadata.get("classifier", []) if "License" in one),
    ]
    if not any(told):
        # Its metadata names none, so its licence has to speak for itself.
        told = [
            file.read_text("utf-8")
            for file in package.files or ()
            if file.name in LICENCES and ".dist-info" in str(file)
        ]
    text = " ".join(told).replace("Lesser General", "Lesser-General")
    assert text.strip()
    assert not COPYLEFT.search(text.replace("LGPL", "Lesser"))


def test_every_dependency_is_explained():
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8").casefold()
    wanted = {Requirement(one).name.casefold() for one in LOCKED}
    assert {name for name in wanted if f"**{name}**" not in text} == set()


def test_the_licence_is_the_whole_apache_licence():
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_the_changelog_knows_this_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    version = PROJECT["project"]["version"]
    assert re.search(
        rf"^## \[(?:Unreleased|{re.escape(version)})\]", text, re.MULTILINE
    )


@pytest.mark.parametrize(
    "name", ["run", "test", "lock", "setup", "otrsd", "bench", "torture", "fuzz"]
)
def test_a_script_can_be_started(name: str):
    path = ROOT / "scripts" / name
    first = path.read_text("utf-8").splitlines()[0]
    if name in {"setup", "otrsd"}:
        return
    assert os.access(path, os.X_OK)
    assert first.startswith("#!")


@pytest.mark.parametrize("name", ["scripts/run", "scripts/test", "scripts/lock"])
def test_a_shell_script_is_plain_sh(name: str):
    done = subprocess.run(["sh", "-n", ROOT / name], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_editable_install_is_a_plain_path():
    """An import hook would cost every ``otrsd pipe`` its milliseconds."""
    files = importlib.metadata.files("otrsd") or []
    paths = [Path(str(one.locate())) for one in files if one.suffix == ".pth"]
    assert [path.read_text("utf-8").startswith("import") for path in paths] in (
        [],
        [False],
    )
