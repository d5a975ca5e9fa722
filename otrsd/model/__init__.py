"""Frozen values that travel between the rooms; nothing here does I/O."""

from __future__ import annotations
