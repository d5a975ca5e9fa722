r"""One mail with its envelope as octets: drop file and submit socket.

A header line of JSON (``otrsd``: 1, ``id``, ``size``, ``sha256``, ``envelope``), the
content, then ``\nEND\n``; written by :mod:`otrsd.pipe`. ``read_header`` raises
:class:`~otrsd.errors.InputError` for what is no such line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otrsd.errors import InputError
from otrsd.ids import is_id
from otrsd.model.envelope import Envelope

END = b"\nEND\n"
#: The longest header line: 1,000 recipients fit twice.
MAX_HEADER = 1024 * 1024
_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header line, checked."""

    id: str
    size: int
    sha256: str
    envelope: Envelope


def read_header(line: bytes) -> Header:
    """Return what the header line says."""
    try:
        value = json.loads(line)
        envelope = Envelope.from_plain(value["envelope"])
        header = Header(
            id=value["id"],
            size=value["size"],
            sha256=value["sha256"],
            envelope=envelope,
        )
        version = value["otrsd"]
        is_sound = _is_sound(value) and _is_sound_envelope(envelope)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"its first line is no header of ours: {error!r}") from None
    if version != _VERSION:
        raise InputError(f"its form {version!r} is of another otrsd")
    if not is_sound:
        raise InputError("its first line has values that can't be")
    return header


def _is_sound(value: Mapping[str, Any]) -> bool:
    size = value["size"]
    return (
        is_id(value["id"])
        and _SHA256.fullmatch(value["sha256"]) is not None
        and type(size) is int
        and size >= 0
    )


def _is_sound_envelope(envelope: Envelope) -> bool:
    texts = (envelope.mail_from, *envelope.rcpt_tos, envelope.profile, envelope.helo)
    return envelope.received_at.tzinfo is not None and all(
        text.isprintable() for text in texts
    )
