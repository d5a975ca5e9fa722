"""A site made from texts: file name → content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from otrsd.config.load import Examined, examine


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Examined]:
    """Return a function: content of otrsd.yaml, and further files by name."""

    def examined(text: str, /, **files: str) -> Examined:
        (tmp_path / "config").mkdir(exist_ok=True)
        (tmp_path / "otrsd.yaml").write_text(text)
        for name, content in files.items():
            (tmp_path / "config" / f"{name}.yaml").write_text(content)
        return examine(tmp_path / "otrsd.yaml", {"SECRET": "hunter2"})

    return examined
