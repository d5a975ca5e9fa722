"""A site's files become one configuration, or all problems at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.config.load import Examined, examine, load, recall
from otrsd.config.models import Config
from otrsd.errors import ConfigError
from otrsd.language.rules import compile_rules

Site = Callable[..., Examined]
ROOT = Path(__file__).parents[2]


def good(examined: Examined) -> Config:
    assert examined.problems == ()
    assert examined.config is not None
    return examined.config


def test_an_empty_file_is_a_site_with_one_queue(site: Site) -> None:
    config = good(site(""))
    assert list(config.queues) == ["support"]
    assert config.site.default_queue == "support"


def test_drop_ins_join_by_name_in_order(site: Site) -> None:
    config = good(
        site(
            "queues: {a: }",
            b="queues: {c: {address: C@Example.COM}}",
            a="queues: {b: }",
        )
    )
    assert list(config.queues) == ["a", "b", "c"]
    assert config.queues["c"].address == ("C@example.com",)


def test_the_same_name_in_two_files_names_both_places(site: Site) -> None:
    (problem,) = site("queues:\n  a: {}\n", x="queues:\n  b: {}\n  a: {}\n").problems
    assert problem.place == "config/x.yaml:3:3"
    assert problem.text == "'a' stands twice (first in otrsd.yaml:2)"


def test_plugin_settings_join_plugin_by_plugin(site: Site) -> None:
    config = good(
        site(
            "plugins: {settings: {spam: {score: 5}}}",
            m="plugins: {settings: {monitoring: {token: {$env: SECRET}}}}",
        )
    )
    assert config.plugins.settings["monitoring"] == {"token": "hunter2"}
    assert config.plugins.nodes["monitoring"].origin == "config/m.yaml:1"


def test_a_secret_is_in_no_repr_and_no_snapshot(site: Site) -> None:
    config = good(site("plugins: {settings: {x: {password: {$env: SECRET}}}}"))
    assert "hunter2" not in repr(config) + config.snapshot_text()


def test_a_secret_file_is_read_beside_the_site(site: Site, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite:///x.db\n")
    config = good(site("site: {database: {$file: url}}"))
    assert config.site.database == "sqlite:///x.db"
    assert "x.db" not in repr(config)


def test_sizes_and_durations_are_written_as_people_do(site: Site) -> None:
    config = good(
        site("listen: {smtp: {port: 25, max_size: 40MB}}\ntrash: {keep: 1w2d}")
    )
    assert config.listen.smtp is not None
    assert config.listen.smtp.max_size == 40 * 1024 * 1024
    assert config.trash.keep == timedelta(days=9)


def test_state_lies_beside_the_file_or_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "otrsd.yaml"
    path.write_text("")
    assert load(path, {}).state == tmp_path / "var"
    assert load(path, {"OTRSD_STATE": "/srv/state"}).state == Path("/srv/state")


def test_the_snapshot_changes_with_any_file(site: Site) -> None:
    one = good(site("queues: {a: }", b="rules: {}")).snapshot
    assert good(site("queues: {a: }", b="rules: {}")).snapshot == one
    assert good(site("queues: {a: }", b="rules: {} # changed")).snapshot != one


def test_a_snapshot_gives_its_rules_back(site: Site) -> None:
    config = good(site("rules: {a: {then: stop}}", q="queues: {x: }"))
    then = recall(config.snapshot_text())
    (rule,) = compile_rules(then.rules, queues=then.queues).rules
    assert (rule.name, rule.origin, then.queues) == ("a", "otrsd.yaml:1", ("x",))


def test_load_lists_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "otrsd.yaml"
    path.write_text("sit: {}\nworkers: many\n")
    with pytest.raises(ConfigError, match=r"(?s)otrsd.yaml:1:1.*otrsd.yaml:2:10"):
        load(path, {})


def test_a_missing_file_is_a_problem_with_a_way_out(tmp_path: Path) -> None:
    (problem,) = examine(tmp_path / "otrsd.yaml", {}).problems
    assert "no such file" in problem.text
    assert "-c PATH" in problem.suggestion


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "otrsd.yaml").write_bytes(b"site: {name: M\xfcller}\n")
    (problem,) = examine(tmp_path / "otrsd.yaml", {}).problems
    assert problem.suggestion == "save it as UTF-8"


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "otrsd.yaml").write_bytes(b"\xef\xbb\xbfsite: {name: X}\n")
    assert load(tmp_path / "otrsd.yaml", {}).site.name == "X"


def test_the_repository_s_own_site_has_no_problem() -> None:
    config = good(examine(ROOT / "otrsd.yaml", {}))
    assert compile_rules(config.rules, queues=config.queues).problems == ()
    assert "domains::robots" in config.queues


def test_a_link_to_nothing_is_no_empty_file(site: Site, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/10-queues.yaml").symlink_to("/nonexistent")
    (problem,) = site("").problems
    assert problem.render() == (
        "config/10-queues.yaml: error: there is no such file"
        " - take the link away, or mend it"
    )


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o400])
@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_folder_that_nobody_may_read_is_no_empty_one(
    tmp_path: Path, mode: int
) -> None:
    (tmp_path / "otrsd.yaml").touch()
    (tmp_path / "config").mkdir(mode)
    (problem,) = examine(tmp_path / "otrsd.yaml", {}).problems
    assert "config: error: can't be read: Permission denied" in problem.render()


def test_a_folder_that_is_none_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "otrsd.yaml").touch()
    (tmp_path / "config").symlink_to("config")
    (problem,) = examine(tmp_path / "otrsd.yaml", {}).problems
    assert "config: error: can't be read: Too many" in problem.render()


@pytest.mark.parametrize("name", ["none.pem", "otrsd.yaml"])
def test_certificates_must_be_there(site: Site, name: str) -> None:
    send = f"send: {{host: h, ca_file: {name}}}"
    (problem,) = site(f"queues: {{a: {{address: a@example.com}}}}\n{send}").problems
    assert name in problem.text
    assert problem.line == 2
