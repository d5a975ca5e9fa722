"""A child's life from the fork to its exit code.

0 means that it ended because a stop was asked for. Everything else is a death: the
code of an :class:`~otrsd.errors.OtrsdError`, 70 (EX_SOFTWARE) for a role that
returned unasked, else 1. One log line names the cause.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from otrsd.control import Work
from otrsd.daemon.control import RoleControl
from otrsd.daemon.lines import Lines
from otrsd.daemon.log import cause, set_up, traceback_at_debug
from otrsd.daemon.parent_death import die_with_parent, show_name
from otrsd.daemon.roles import Role
from otrsd.errors import OtrsdError

_RETURNED_UNASKED = 70


def live(
    role: Role,
    control: RoleControl,
    predecessor: Work | None,
    parent: int,
    log: Lines,
) -> NoReturn:
    """Run ``role`` in this freshly forked process and end the process with it."""
    code = 1
    try:
        gc.enable()
        signal.signal(signal.SIGTERM, lambda *_: control.ask_to_stop())
        if not die_with_parent(parent):
            control.ask_to_stop()
        show_name(role.name)
        set_up(log)
        code = carry_out(role, control, predecessor, log)
    finally:
        # No interpreter shutdown: what the template holds is not ours to close.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)


def carry_out(role: Role, control: RoleControl, before: Work | None, log: Lines) -> int:
    """Do the role's work; return its exit code."""
    try:
        role.run(control, before)
    except BaseException as error:  # noqa: BLE001 - SystemExit of a plugin too
        log.write("error", "role.failed", cause=cause(error))
        control.last_word(str(error) or type(error).__name__)
        traceback_at_debug(log, "role.failed", error)
        return error.exit_code if isinstance(error, OtrsdError) else 1
    if control.stopping():
        return 0
    log.error("role.returned", cause="it ended although nobody asked it to")
    return _RETURNED_UNASKED
