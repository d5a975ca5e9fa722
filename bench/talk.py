"""Talk goes to standard error; standard output belongs to ``--json``."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Tell a person something."""
    print(text, file=sys.stderr, flush=True)
