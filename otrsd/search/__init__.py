"""The full-text index behind one protocol."""

from __future__ import annotations
