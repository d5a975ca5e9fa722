"""Values as people write them in YAML: ``25MB``, ``30d``, one address or a list.

Each function turns the written value into the one the program counts with, and
raises ``ValueError`` with text for a person. Other values pass through, so that the
model's own check can speak about them.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

from pydantic import ValidationInfo

from otrsd.config.problem import did_you_mean

_SIZE = re.compile(r"(\d{1,15})\s*(|[KMGT]?i?B)", re.IGNORECASE)
_DURATION = re.compile(r"(?:\d{1,9}[smhdw])+")
_STEP = re.compile(r"(\d+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ADDRESS = re.compile(r"[^\s@<>(),;:\\\"\[\]]+@[^\s@<>(),;:\\\"\[\]]+")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_HOST = 253
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def size(value: object) -> object:
    """Turn ``25MB`` into octets; K, M, G and T count by 1024, as MTAs do."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError("wants a size such as 25MB")
    unit = found[2].lower().removesuffix("b").removesuffix("i")
    return int(found[1]) * 1024 ** _POWERS[unit]


def duration(value: object) -> object:
    """Turn ``30d`` or ``1h30m`` into a timedelta."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("wants a duration such as 30s, 15m, 2h, 30d or 1w")
    seconds = sum(int(n) * _SECONDS[unit] for n, unit in _STEP.findall(value))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("is longer than the calendar") from None


def one_or_many(value: object) -> object:
    """Let a single text stand for a list of one."""
    return (value,) if isinstance(value, str) else value


def address(value: str) -> str:
    """Check one mail address; the domain counts in lower case (RFC 5321 §2.4)."""
    if not _ADDRESS.fullmatch(value):
        raise ValueError("wants a mail address such as support@example.com")
    local, _, domain = value.rpartition("@")
    return f"{local}@{domain.lower()}"


def address_or_none(value: str) -> str:
    """Check one mail address, or none."""
    return address(value) if value else value


def host(value: str) -> str:
    """Check the name or IP address of a host."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    if not _HOST.fullmatch(value) or len(value) > _LONGEST_HOST:
        raise ValueError("wants a host such as mail.example.com")
    return value.lower()


def host_or_none(value: str) -> str:
    """Check the name of a host, or none."""
    return host(value) if value else value


def one_line(value: str) -> str:
    """Check that a text can be an argument of a command of a line."""
    if any(character < " " or character == "\x7f" for character in value):
        raise ValueError("has a line end or another control character")
    return value


def network(value: str) -> str:
    """Check one CIDR block or address."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("wants a network such as 10.0.0.0/8") from None
    raise ValueError(f"has bits behind the prefix; write {wider}")


def bind_address(value: str) -> str:
    """Check an IP address to listen on, or ``localhost``."""
    if value == "localhost":
        return value
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("wants an IP address such as 127.0.0.1") from None


def loopback(value: str) -> str:
    """Check an IP address that only this machine reaches."""
    if not is_loopback(bind_address(value)):
        raise ValueError("wants a loopback address such as 127.0.0.1")
    return value


def is_loopback(value: str) -> bool:
    """Tell whether only this machine reaches the address."""
    if value == "localhost":
        return True
    try:
        return ipaddress.ip_address(value).is_loopback
    except ValueError:
        # A name may mean anything tomorrow.
        return False


class UnknownNameError(ValueError):
    """A name that nothing bears, with the nearest one that something does."""

    def __init__(self, text: str, suggestion: str) -> None:
        self.suggestion = suggestion
        super().__init__(text)


def queue_name(value: str, info: ValidationInfo) -> str:
    """Check that a queue exists; without ``queues`` in the context any may."""
    queues = (info.context or {}).get("queues")
    if queues is None or not value or value in queues:
        return value
    hint = did_you_mean(value, queues)
    raise UnknownNameError("wants a queue of this site", hint)


def timezone(value: str) -> str:
    """Check an IANA time zone's name."""
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError("wants a time zone such as Europe/Berlin") from None
    return value
