"""The base of a plugin's settings: a frozen pydantic model that knows no extras.

A plugin that has settings defines ``class Settings(otrsd.Settings)`` with typed,
documented fields; they are filled from ``plugins.settings.<name>`` in YAML and
from nowhere else, so that a typo fails with file and line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from otrsd.config.problem import HIDDEN, is_secret, without_passwords


class Settings(BaseModel):
    """Frozen, strict about unknown keys; every default is the safe one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show no value whose name says that it is a secret; ``repr`` reaches logs."""
        for name, value in super().__repr_args__():
            if value and is_secret(name or ""):
                yield name, HIDDEN
            else:
                yield (
                    name,
                    without_passwords(value) if isinstance(value, str) else value,
                )
