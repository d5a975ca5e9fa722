"""otrsd check, run --check-only, plugins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from otrsd.testing import Site
from tests.cli.conftest import Golden, Otrsd

MISTAKES = """\
site: {name: Test, default_queue: support}
queues:
  support: {address: support@example.com}
rules:
  one:
    when: {subject: hello}
    then: {queue: suport}
  two:
    whne: {subject: hello}
    then: {queue: support}
"""
WARNING = """\
queues: {support: {address: support@example.com}}
rules:
  first: {then: {queue: support, stop: true}}
  never: {when: {subject: x}, then: {priority: high}}
"""
MISSPELT = """\
from otrsd import hookimpl

@hookimpl
def amend_tickt(mail):
    return None
"""


def test_a_good_site_is_exit_0(otrsd: Otrsd, site: Site, golden: Golden):
    ran = otrsd("check")
    assert (ran.code, ran.err) == (0, "")
    golden("check-good", ran.out)


def test_a_mistake_is_shown_with_place_caret_and_suggestion(
    otrsd: Otrsd, site: Site, golden: Golden
):
    site.configure(MISTAKES)
    ran = otrsd("check")
    assert (ran.code, ran.err) == (1, "")
    golden("check-mistakes", ran.out)


def test_mistakes_as_json(otrsd: Otrsd, site: Site):
    site.configure(MISTAKES)
    found = otrsd("check", "--json").json
    assert (found["ok"], found["errors"]) == (False, len(found["problems"]))
    assert {"severity", "file", "line", "column", "text", "suggestion", "excerpt"} == {
        *found["problems"][0]
    }


def test_a_warning_fails_only_a_strict_check(otrsd: Otrsd, site: Site):
    site.configure(WARNING)
    assert otrsd("check").code == 0
    ran = otrsd("check", "--strict")
    assert ran.code == 1
    assert ran.out.endswith("0 errors, 1 warning\n")


def test_check_only_starts_nothing(otrsd: Otrsd, site: Site):
    site.configure(MISTAKES)
    assert otrsd("run", "--check-only").code == 1
    site.configure(WARNING)
    assert otrsd("run", "--check-only").code == 0


def test_a_broken_configuration_ends_every_other_command_plainly(
    otrsd: Otrsd, site: Site
):
    site.configure(MISTAKES)
    ran = otrsd("ticket", "list")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("otrsd: otrsd.yaml:")
    assert ran.err.endswith("Try: otrsd check\n")


def test_a_broken_plugin_is_listed_as_such(otrsd: Otrsd, site: Site):
    site.plugin("bad", "import nosuch")
    ran = otrsd("plugins", "list")
    assert "bad\t\tsite\tbroken\t" in ran.out
    assert "bad: plugin 'bad' can't be loaded: ModuleNotFoundError" in ran.err
    assert ran.err.endswith("Try: otrsd plugins check\n")


def test_plugins_are_listed_in_call_order(otrsd: Otrsd, site: Site):
    site.plugin("aaa", "from otrsd import hookimpl\n\n@hookimpl\ndef on_event(): ...\n")
    found = otrsd("plugins", "list", "--json").json
    assert [each["name"] for each in found] == ["aaa", "monitoring", "robots", "spam"]
    assert (found[0]["origin"], found[0]["hooks"]) == ("site", ["on_event"])
    assert otrsd("plugins", "list").out.startswith("aaa\t")


def test_a_disabled_plugin_is_listed_as_such(otrsd: Otrsd, site: Site):
    site.configure("queues: {support: {}}\nplugins: {disable: spam}\n")
    found = otrsd("plugins", "list", "--json").json
    assert [each["state"] for each in found] == ["on", "on", "disabled"]


def test_a_failing_plugin_is_listed_as_such(otrsd: Otrsd, site: Site):
    site.app.spool.plugin_failed("spam", "ValueError: no")
    found = otrsd("plugins", "list", "--json").json
    assert {e["name"]: e["error"] for e in found}["spam"] == "ValueError: no"


def test_a_misspelt_hook_is_found_with_its_line(otrsd: Otrsd, site: Site):
    site.plugin("typo", MISSPELT)
    ran = otrsd("plugins", "check")
    assert ran.code == 1
    assert "plugins/typo.py:4" in ran.out
    assert "did you mean 'amend_ticket'" in ran.out


@pytest.mark.slow
def test_a_new_plugin_is_good_and_its_test_is_green(otrsd: Otrsd, site: Site):
    assert otrsd("plugins", "new", "hello", str(site.root)).code == 0
    assert otrsd("plugins", "check").code == 0
    test = site.root / "tests" / "test_hello.py"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(test),
    ]
    done = subprocess.run(command, capture_output=True, cwd=site.root, check=False)
    assert done.returncode == 0, done.stdout


def test_a_new_plugin_overwrites_nothing(otrsd: Otrsd, site: Site):
    otrsd("plugins", "new", "hello")
    before = (site.root / "plugins" / "hello.py").read_text()
    (site.root / "plugins" / "hello.py").write_text(before + "# mine\n")
    ran = otrsd("plugins", "new", "hello")
    assert ran.code == 1
    assert "is there already" in ran.err
    assert (site.root / "plugins" / "hello.py").read_text().endswith("# mine\n")


@pytest.mark.parametrize("name", ["Bad", "../x", "1st", ""])
def test_a_name_that_no_plugin_can_have(otrsd: Otrsd, site: Site, name: str):
    ran = otrsd("plugins", "new", name)
    assert ran.code == 1
    assert "can't be a plugin's name" in ran.err
