"""The verbs on tickets; each takes a Unit, which is one write transaction."""

from __future__ import annotations
