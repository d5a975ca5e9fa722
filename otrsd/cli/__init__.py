"""Commands, one file a noun; what they print is for people and for pipes."""

from __future__ import annotations
