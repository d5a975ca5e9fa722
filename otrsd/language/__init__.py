"""The one language of rules and searches: text ↔ tree, and what it means."""

from __future__ import annotations
