"""The supervisor, the roles it runs, signals and the ordered stop."""

from __future__ import annotations
