from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from otrsd.errors import InputError
from otrsd.plugin_template import new_plugin


@pytest.mark.slow
def test_a_new_plugin_is_green_at_once(tmp_path: Path) -> None:
    for path, text in new_plugin("gold").items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in run.stdout, run.stdout + run.stderr


@pytest.mark.parametrize("name", ["../evil", "Gold", "otrsd", ""])
def test_a_name_that_can_not_be_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="can't be a plugin's name"):
        new_plugin(name)
