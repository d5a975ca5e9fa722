"""Log lines: one event a line, written so that a log can never stop mail.

In: a level, the event's name, fields. Out: ``time level event key=value …``, or a
JSON object with ``OTRSD_LOG=json``, by one write. Control characters, ESC and
bidirectional overrides are made visible. A full disk, a closed terminal or a reader
that has fallen asleep costs the line, never the caller; how many lines were lost is
said in the next one that gets through. The supervisor writes here directly; every
other process does so through structlog (:mod:`otrsd.daemon.log`).
"""

from __future__ import annotations

import json
import os
import re
import select
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from otrsd.clock import Clock

LEVELS = ("debug", "info", "warning", "error", "critical")
#: A longer value is cut: a mail's text has no place in a log.
_LONGEST_VALUE = 2000
#: The same where the line would be too long otherwise.
_SHORTEST_CUT = 200
#: A pipe that has room takes so much at once without waiting, and unmixed with the
#: lines of other processes (POSIX: PIPE_BUF).
_LONGEST_LINE = 4096 - 1
#: C0 and C1 controls, soft hyphen, zero width, bidi marks and overrides, surrogates.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff]"
)
_PLAIN = re.compile(r"[^\s\"=\\]+\Z")

#: Writes a line in another dress: time, level, event, ``key=value`` …
Dress = Callable[[datetime, str, str, Sequence[str]], str]


class Lines:
    """Where this process writes its log lines."""

    def __init__(
        self,
        descriptor: int,
        clock: Clock,
        *,
        as_json: bool = False,
        level: str = "info",
        process: str = "",
        dress: Dress | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._clock = clock
        self._as_json = as_json
        self._least = LEVELS.index(level)
        self._process = {"process": process} if process else {}
        self._dress = dress
        self._lost = 0

    def renamed(self, process: str) -> Lines:
        """Return the same log for the process ``process``."""
        return Lines(
            self._descriptor,
            self._clock,
            as_json=self._as_json,
            level=LEVELS[self._least],
            process=process,
            dress=self._dress,
        )

    def wants(self, level: str) -> bool:
        """Tell whether lines of ``level`` are written at all."""
        return LEVELS.index(level) >= self._least

    def write(self, level: str, event: str, /, **fields: Any) -> None:
        """Write one line, or lose it; never raises and never waits."""
        if self.wants(level):
            # A field whose str() raises costs its line as a full disk does.
            with suppress(Exception):
                self._put(self._fitting(level, event, {**self._process, **fields}))
                return
            self._lost += 1

    def info(self, event: str, /, **fields: Any) -> None:
        """Write what happened."""
        self.write("info", event, **fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Write what was put right, and should not happen again."""
        self.write("warning", event, **fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Write what somebody has to look at."""
        self.write("error", event, **fields)

    def _fitting(self, level: str, event: str, fields: Mapping[str, Any]) -> bytes:
        line = self._line(level, event, fields).encode("utf-8", "replace")
        if len(line) > _LONGEST_LINE:
            short = {key: _shortened(value) for key, value in fields.items()}
            line = self._line(level, event, short).encode("utf-8", "replace")
        # With very many fields even that is too long; then the line's end is lost.
        return line[:_LONGEST_LINE]

    def _line(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        at = self._clock.now()
        time = at.isoformat(timespec="milliseconds")
        head = {"time": time.replace("+00:00", "Z"), "level": level, "event": event}
        if self._lost:
            fields = {**fields, "lines_lost": self._lost}
        if self._as_json:
            cut = {key: _cut(value) for key, value in fields.items()}
            return json.dumps({**head, **cut}, default=str)
        said = [f"{key}={_quoted(value)}" for key, value in fields.items()]
        if self._dress is not None:
            return self._dress(at, level, visible(event), said)
        return " ".join([head["time"], level, visible(event), *said])

    def _put(self, line: bytes) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if not poll.poll(0):
            raise BlockingIOError
        os.write(self._descriptor, line + b"\n")
        self._lost = 0


def visible(value: object) -> str:
    """Return ``value`` as text in which every character can be seen."""
    return _HIDDEN.sub(_escape, str(_cut(str(value))))


def _cut(value: object, longest: int = _LONGEST_VALUE) -> object:
    if isinstance(value, str) and len(value) > longest:
        return value[:longest] + "…"
    return value


def _shortened(value: object) -> object:
    plain = value is None or isinstance(value, bool | int | float)
    return value if plain else _cut(str(value), _SHORTEST_CUT)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0])
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")  # noqa: PLR2004 - where two hex digits end


def _quoted(value: object) -> str:
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    text = str(value)
    if _PLAIN.match(text) and visible(text) == text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{visible(escaped)}"'
