"""The log of a process that runs our code: structlog on top of :mod:`.lines`.

``set_up`` is called once in every process, after the fork. Afterwards any module
says ``structlog.get_logger().info("mail.accepted", spool_id=…)``; lines of other
people's libraries (standard logging) come out in the same form from WARNING on.
A traceback is written at debug level only; the line above it has the cause.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

from otrsd.daemon.lines import LEVELS, Lines


def set_up(log: Lines) -> None:
    """Send all logging of this process to ``log``."""
    least = next(level.upper() for level in LEVELS if log.wants(level))
    number = logging.getLevelNamesMapping()[least]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _Writer(log)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[_Bridge(log)], level=logging.WARNING, force=True)


class _Writer:
    """The last processor: writes the event and hands nothing on."""

    def __init__(self, log: Lines) -> None:
        self._log = log

    def __call__(
        self, _logger: object, level: str, fields: MutableMapping[str, Any]
    ) -> str:
        event = str(fields.pop("event", ""))
        error = _error(fields.pop("exc_info", None))
        if error is not None:
            fields.setdefault("cause", cause(error))
        self._log.write("error" if level == "exception" else level, event, **fields)
        if error is not None:
            traceback_at_debug(self._log, event, error)
        return ""


class _Bridge(logging.Handler):
    """Brings records of the standard library's logging into our form."""

    def __init__(self, log: Lines) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        fields: dict[str, Any] = {"logger": record.name, "text": record.getMessage()}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["cause"] = cause(error)
        self._log.write(record.levelname.lower(), "library.said", **fields)


def cause(error: BaseException) -> str:
    """Return one line for the log: the error's kind, its text, what caused it."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    inner = error.__cause__
    return f"{said} (because of {cause(inner)})" if inner else said


def traceback_at_debug(log: Lines, event: str, error: BaseException) -> None:
    """Write the traceback, if the log is asked for that much."""
    if log.wants("debug"):
        import traceback  # noqa: PLC0415 - rarely needed

        for line in traceback.format_exception(error):
            log.write("debug", event, traceback=line.rstrip())


def _error(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    if given:
        import sys  # noqa: PLC0415 - rarely needed

        return sys.exc_info()[1]
    return None
