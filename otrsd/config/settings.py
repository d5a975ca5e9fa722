"""The base of a plugin's settings: a frozen pydantic model that knows no extras.

A plugin that has settings defines ``class Settings(otrsd.Settings)`` with typed,
documented fields; they are filled from ``plugins.settings.<name>`` in YAML and
from nowhere else, so that a typo fails with file and line.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, strict about unknown keys; every default is the safe one."""

    model_config = ConfigDict(frozen=True, extra="forbid")
