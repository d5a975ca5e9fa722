"""The journey of one mail from the spool to the desk."""

from __future__ import annotations
