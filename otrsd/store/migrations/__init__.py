"""Alembic's scripts: one file a step, forward only, never edited once landed."""

from __future__ import annotations
