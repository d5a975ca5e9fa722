"""Octets ↔ Mail; parsing never raises."""

from __future__ import annotations
