"""YAML files with line numbers → frozen models."""

from __future__ import annotations
