"""What happens because time has passed."""

from __future__ import annotations
