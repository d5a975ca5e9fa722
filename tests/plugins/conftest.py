from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otrsd.testing import Site

PLUGINS = Path(__file__).parents[2] / "plugins"
SAMPLES = Path(__file__).parent / "samples"
QUEUES = """
site: {name: Test, default_queue: support}
queues:
  support: {address: support@example.com}
  monitoring: {address: alerts@example.com}
  domains: {address: domains@example.com}
  domains::robots: {}
  robots: {}
"""


@pytest.fixture
def samples() -> Path:
    return SAMPLES


@pytest.fixture
def site_with(otrsd_app: Site) -> Callable[..., Site]:
    """Give a site with one shipped plugin and these settings."""

    def build(plugin: str, settings: str = "{}") -> Site:
        otrsd_app.configure(
            f"{QUEUES}plugins:\n  settings:\n    {plugin}: {settings}\n"
        )
        otrsd_app.plugin(plugin, PLUGINS / f"{plugin}.py")
        return otrsd_app

    return build


def active(site: Site) -> list[Any]:
    return [ticket for ticket in site.tickets() if ticket.is_active]
