from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from otrsd.config.models import Config, Plugins
from otrsd.hooks import Hooks, Loaded, load_plugins


class Site:
    """A folder with plugins, loaded as often as a test asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings: dict[str, Any] = {}
        self.disable: tuple[str, ...] = ()
        self.packages: list[Any] = []
        self.shipped: Path | None = None

    def plugin(self, name: str, text: str) -> Path:
        path = self.root / "plugins" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("from __future__ import annotations\n" + dedent(text))
        return path

    def load(self) -> Loaded:
        config = Config(
            root=self.root,
            state=self.root / "var",
            plugins=Plugins(settings=self.settings, disable=self.disable),
        )
        return load_plugins(config, shipped=self.shipped, packages=self.packages)

    def hooks(self, **options: Any) -> Hooks:
        loaded = self.load()
        assert not loaded.problems, [p.render() for p in loaded.problems]
        return Hooks(loaded.plugins, **options)

    def complaints(self) -> str:
        return "\n".join(problem.render() for problem in self.load().problems)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def hooks_of(site: Site) -> Callable[[str], Hooks]:
    def build(text: str) -> Hooks:
        site.plugin("mine", text)
        return site.hooks()

    return build
