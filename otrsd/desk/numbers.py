"""Ticket numbers in OTRS' date form with a check digit (DateChecksum).

``YYYYMMDD`` + system id + counter of the day (five digits or more) + check digit:
``2026112310000011``. Check digit: the digits weighted 1, 2, 1, 2 … are summed; ten
minus the last digit of the sum, where ten becomes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How this installation makes ticket numbers."""

    #: OTRS SystemID: different for two installations that mail each other.
    system_id: int
    #: The days of the numbers are those of this time zone.
    timezone: str

    def day(self, at: datetime) -> str:
        """Return the counter's day, ``20261123``."""
        return at.astimezone(ZoneInfo(self.timezone)).strftime("%Y%m%d")

    def number(self, day: str, count: int) -> str:
        """Return the ticket number for the ``count``-th ticket of a day."""
        digits = f"{day}{self.system_id}{count:05d}"
        return digits + check_digit(digits)


def check_digit(digits: str) -> str:
    """Return the check digit that belongs behind ``digits``."""
    total = sum(int(digit) * (1 + n % 2) for n, digit in enumerate(digits))
    rest = 10 - total % 10
    return str(1 if rest == 10 else rest)  # noqa: PLR2004 - a decimal carry


def is_number(text: str) -> bool:
    """Tell whether ``text`` can be a ticket number of this form."""
    return (
        text.isascii()
        and text.isdigit()
        and len(text) >= 15  # noqa: PLR2004 - 8 + 1 + 5 + 1 digits
        and check_digit(text[:-1]) == text[-1]
    )
