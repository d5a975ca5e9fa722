"""What is loaded, what is refused, and where the message points."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import otrsd
from otrsd.config.load import load
from otrsd.config.models import Config, Plugins
from otrsd.config.problem import Source
from otrsd.config.yaml import read
from otrsd.hooks import load_plugins

GOOD = "from otrsd import hookimpl\n@hookimpl\ndef screen_mail(mail): pass\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "from otrsd import hookimpl\n@hookimpl\ndef screen_male(mail): pass\n",
            "mine.py:4:1: error: there is no hook 'screen_male' - did you mean 'scr",
        ),
        (
            "from otrsd import hookimpl\n@hookimpl\ndef screen_mail(mial): pass\n",
            "mine.py:4:1: error: screen_mail() has no argument 'mial' - did you",
        ),
        (
            "from otrsd import hookimpl\n@hookimpl\nasync def screen_mail(): pass\n",
            "mine.py:4:1: error: screen_mail() is async",
        ),
        (
            "import otrsd\n@otrsd.hookimpl(wrapper=1)\ndef screen_mail(): yield\n",
            "mine.py:4:1: error: screen_mail() is a wrapper",
        ),
        (
            "from otrsd import hookimpl\n@hookimpl\ndef screen_mail(*mails): pass\n",
            "mine.py:4:1: error: screen_mail() takes '*mails'",
        ),
        (
            "def screen_mail(mail): pass\n",
            "mine.py:2:1: warning: screen_mail() bears a hook's name",
        ),
        ("x = 1\n", "mine.py: warning: this plugin implements no hook"),
        ("import nosuch\n", "mine.py:2:1: error: plugin 'mine' can't be loaded"),
        ("def f(:\n", "mine.py:2:1: error: plugin 'mine' can't be loaded"),
        ("raise SystemExit(0)\n", "mine.py:2:1: error: plugin 'mine' can't be loaded"),
        (
            "class Plugin:\n    def __init__(self): 1 / 0\n",
            "mine.py:3:5: error: plugin 'mine' can't be loaded: ZeroDivisionError",
        ),
        (
            "import otrsd\nclass Settings(otrsd.Settings): pass\n",
            "mine.py: error: Settings needs a class Plugin",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(site: Any, text: str, expected: str) -> None:
    site.plugin("mine", text)
    assert f"plugins/{expected}" in site.complaints()


def test_a_good_plugin_says_where_it_is_from(site: Any) -> None:
    site.plugin("mine", GOOD)
    (plugin,) = site.load().plugins
    assert (plugin.name, plugin.origin, plugin.hooks) == (
        "mine",
        "site",
        ("screen_mail",),
    )
    assert len(plugin.version) == 12


def test_a_wrong_plugin_is_left_out_and_the_others_stay(site: Any) -> None:
    site.plugin("bad", "import nosuch\n")
    site.plugin("good", GOOD)
    assert [plugin.name for plugin in site.load().plugins] == ["good"]
    (bad,) = site.load().left_out
    assert (bad.name, bad.origin) == ("bad", "site")
    assert "No module named 'nosuch'" in bad.error


def test_a_file_that_anybody_may_write_is_refused(site: Any) -> None:
    site.plugin("mine", GOOD).chmod(0o666)
    assert "anybody may write" in site.complaints()
    assert site.load().plugins == ()


def test_a_folder_that_anybody_may_write_is_refused(site: Any) -> None:
    site.plugin("mine", GOOD).parent.chmod(0o777)
    assert "anybody may write" in site.complaints()


def test_a_disabled_plugin_is_never_run(site: Any) -> None:
    site.plugin("mine", "raise SystemExit\n")
    site.disable = ("mine",)
    assert site.complaints() == ""


def test_names_of_plugins_that_are_not_there_are_noticed(site: Any) -> None:
    site.plugin("mine", GOOD)
    site.disable, site.settings = ("mime",), {"mein": {}}
    assert "plugins.disable names 'mime'" in site.complaints()
    assert "there is no plugin 'mein' - did you mean 'mine'?" in site.complaints()


@pytest.mark.parametrize("name", ["otrsd", "Mine", "two words", "1st"])
def test_a_name_that_can_not_be_one_is_refused(site: Any, name: str) -> None:
    site.plugin(name, GOOD)
    assert "can't be a plugin's name" in site.complaints()


def test_tests_and_private_files_are_no_plugins(site: Any) -> None:
    for name in ("test_mine", "conftest", "_old", ".hidden"):
        site.plugin(name, "raise SystemExit\n")
    assert (site.complaints(), site.load().plugins) == ("", ())


def test_settings_arrive_and_a_typo_has_its_line(site: Any, tmp_path: Path) -> None:
    site.plugin(
        "mine",
        "import otrsd\nclass Settings(otrsd.Settings):\n    colour: str\n"
        "class Plugin:\n    def __init__(self, settings): self.settings = settings\n"
        "    @otrsd.hookimpl\n    def screen_mail(self): pass\n",
    )
    site.settings = {"mine": {"colour": "red"}}
    (plugin,) = site.load().plugins
    assert plugin.instance.settings.colour == "red"
    node = read(Source(name="config/50.yaml", text="\n\nclour: red\n")).root
    plugins = Plugins(settings={"mine": node.plain()})
    plugins = plugins.model_copy(update={"nodes": {"mine": node}})
    config = Config(root=tmp_path, state=tmp_path / "var", plugins=plugins)
    loaded = load_plugins(config, shipped=None, packages=[])
    texts = [problem.render() for problem in loaded.problems]
    assert any("config/50.yaml:3:1" in t and "'colour'?" in t for t in texts)


def test_settings_that_nobody_wrote_are_missed_where_they_are_wanted(site: Any) -> None:
    site.plugin(
        "mine",
        "import otrsd\nclass Settings(otrsd.Settings):\n    colour: str\n"
        "class Plugin:\n    def __init__(self, settings): pass\n",
    )
    assert site.complaints() == (
        "plugins/mine.py: error: 'colour' is missing in 'plugins.settings.mine'"
        " - write plugins: {settings: {mine: …}}"
    )


def test_names_in_yaml_are_found_where_they_stand(tmp_path: Path) -> None:
    text = "plugins:\n  disable:\n    - gone\n  settings:\n    lost: {a: 1}\n"
    (tmp_path / "otrsd.yaml").write_text(text)
    config = load(tmp_path / "otrsd.yaml", {})
    found = load_plugins(config, shipped=None, packages=[]).problems
    assert {(each.line, each.column) for each in found} == {(3, 7), (5, 5)}


def test_a_queue_in_settings_has_to_exist(tmp_path: Path) -> None:
    plugin = tmp_path / "plugins" / "mine.py"
    plugin.parent.mkdir()
    plugin.write_text(
        "import otrsd\nclass Settings(otrsd.Settings):\n"
        "    queue: otrsd.QueueName = 'other'\n"
        "class Plugin:\n    def __init__(self, settings): pass\n"
        "    @otrsd.hookimpl\n    def screen_mail(self): pass\n",
    )
    text = "queues: {junk: {}}\nplugins:\n  settings:\n    mine: {queue: jnuk}\n"
    (tmp_path / "otrsd.yaml").write_text(text)
    config = load(tmp_path / "otrsd.yaml", {})
    (found,) = load_plugins(config, shipped=None, packages=[]).problems
    assert found.render().splitlines()[0] == (
        "otrsd.yaml:4:19: error: 'plugins.settings.mine.queue' wants a queue of this"
        " site, not 'jnuk' - did you mean 'junk'?"
    )


def test_settings_that_a_plugin_refuses_are_named_where_they_stand(
    tmp_path: Path,
) -> None:
    text = (
        "plugins:\n  settings:\n    monitoring:\n      sources:\n"
        "        - {name: a, match: {channel: pipe}, format: nagois}\n"
        "    spam:\n      trust: {mode: token}\n      virus: hlod\n"
    )
    (tmp_path / "otrsd.yaml").write_text(text)
    config = load(tmp_path / "otrsd.yaml", {})
    shipped = Path(__file__).parents[2] / "plugins"
    found = load_plugins(config, shipped=shipped, packages=[]).problems
    assert [each.render().splitlines()[0] for each in found] == [
        (
            "otrsd.yaml:3:5: error: plugin 'monitoring' refuses its settings: source a:"
            " there is no format 'nagois', only otrsd-headers, nagios, icinga2"
        ),
        (
            "otrsd.yaml:7:14: error: 'plugins.settings.spam.trust' needs 'token': what"
            " does our MX write?"
        ),
        (
            "otrsd.yaml:8:14: error: 'plugins.settings.spam.virus' wants 'hold' or"
            " 'discard', not 'hlod' - did you mean 'hold'?"
        ),
    ]


def test_settings_for_a_plugin_without_any_are_an_error(site: Any) -> None:
    site.plugin("mine", GOOD)
    site.settings = {"mine": {"a": 1}}
    assert "plugin 'mine' has no settings" in site.complaints()


def test_a_sites_file_replaces_a_shipped_one(site: Any, tmp_path: Path) -> None:
    site.shipped = tmp_path / "shipped"
    site.shipped.mkdir()
    for name in ("mine", "other"):
        (site.shipped / f"{name}.py").write_text(GOOD)
    site.plugin("mine", GOOD)
    found = [(plugin.name, plugin.origin) for plugin in site.load().plugins]
    assert found == [("mine", "site"), ("other", "shipped")]


def test_the_repositorys_own_folder_is_not_loaded_twice(site: Any) -> None:
    site.shipped = site.plugin("mine", GOOD).parent
    assert [plugin.origin for plugin in site.load().plugins] == ["site"]
    assert site.complaints() == ""


def test_an_installed_package_is_loaded_by_its_entry_point(site: Any) -> None:
    point = EntryPoint(name="packed", value="packed_plugin", group="otrsd")
    module = type(sys)("packed_plugin")
    exec(GOOD, vars(module))  # noqa: S102 - our own text, as a package's module
    sys.modules["packed_plugin"] = module
    site.packages = [point]
    try:
        (plugin,) = site.load().plugins
    finally:
        del sys.modules["packed_plugin"]
    assert (plugin.name, plugin.origin) == ("packed", "package")


def test_a_folder_is_one_plugin_with_modules_of_its_own(site: Any) -> None:
    folder = site.plugin("unused", "raise SystemExit\n").parent
    (folder / "unused.py").unlink()
    (folder / "big").mkdir()
    (folder / "big" / "__init__.py").write_text("from .part import screen_mail\n")
    (folder / "big" / "part.py").write_text(GOOD)
    assert [plugin.hooks for plugin in site.load().plugins] == [("screen_mail",)]


def test_loading_leaves_no_trace_in_path_or_folder(site: Any) -> None:
    before = list(sys.path)
    folder = site.plugin("json", GOOD).parent
    assert [plugin.name for plugin in site.load().plugins] == ["json"]
    assert (sys.path, sys.modules["json"].__name__) == (before, "json")
    assert not (folder / "__pycache__").exists()


def test_a_changed_file_is_really_replaced(site: Any) -> None:
    site.plugin("mine", GOOD)
    before = site.load().plugins[0]
    site.plugin("mine", GOOD.replace("screen_mail(mail)", "find_ticket(mail)"))
    after = site.load().plugins[0]
    assert (before.hooks, after.hooks) == (("screen_mail",), ("find_ticket",))
    assert before.version != after.version


def test_the_public_surface_is_what_it_says() -> None:
    assert set(otrsd.__all__) == set(otrsd._HOMES)
    assert all(getattr(otrsd, name) is not None for name in otrsd.__all__)
