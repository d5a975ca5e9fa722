"""Whether another mail may be taken: floors under disk, inodes and spool size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from otrsd.errors import SpoolFullError

_HUNDRED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """What must stay free (``spool:`` in the configuration)."""

    #: Octets the spool may take in all.
    max_size: int = 2048 * 1024 * 1024
    #: Share of disk and inodes, in percent.
    min_free: int = 10


def check_disk(folder: Path, size: int, floors: Floors, spare: int = 0) -> None:
    """Raise SpoolFullError unless ``size`` octets fit and the floors hold after.

    ``spare`` octets inside the spool file are free already.
    """
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize + spare - size
    if free * _HUNDRED < floors.min_free * found.f_blocks * found.f_frsize:
        raise SpoolFullError(
            f"less than {floors.min_free} % of the disk of {folder} is free;"
            " free some room or lower spool.min_free"
        )
    # Some file systems count no inodes and say 0.
    if found.f_favail * _HUNDRED < floors.min_free * found.f_files:
        raise SpoolFullError(
            f"less than {floors.min_free} % of the inodes of {folder} are free;"
            " remove small files or lower spool.min_free"
        )


def check_size(used: int, size: int, floors: Floors) -> None:
    """Raise SpoolFullError if the spool would grow beyond its own limit."""
    if used + size > floors.max_size:
        raise SpoolFullError(
            f"the spool holds {used} octets of {floors.max_size};"
            " see `otrsd spool list` and spool.max_size"
        )
