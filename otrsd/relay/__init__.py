"""The loop that pays what the desk owes: index, events."""

from __future__ import annotations
