"""Access tokens of XOAUTH2, from a command that the operator names.

In: ``token_command``, a list of words that is run without a shell. Out: a token, kept
until it ends. The command prints what a token endpoint answers (RFC 6749 §5.1: JSON
with ``access_token`` and ``expires_in``), so that ``curl`` will do, or the token alone.
Fails with :class:`~otrsd.channels.fetch.mailbox.LoginError`; nothing of what was
printed stands in it but an error's name.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress

from otrsd.channels.events import visible
from otrsd.channels.fetch.mailbox import LoginError
from otrsd.clock import Clock

#: Seconds that the command may run, and that a token of unknown life is kept.
_SECONDS, _UNKNOWN = 60.0, 300.0
#: A token is renewed so many seconds before its end.
_EARLY = 60.0
_LONGEST = 64 * 1024
#: RFC 6750 §2.1.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


class Tokens:
    """One account's tokens."""

    def __init__(self, clock: Clock, command: Sequence[str], fixed: str = "") -> None:
        self._clock = clock
        self._command = tuple(command)
        self._fixed = fixed
        self._token = ""
        self._until = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def token(self) -> str:
        """Return a token that is good now."""
        if not self._command:
            return _checked(self._fixed)
        now = self._clock.monotonic()
        if not self._token or now >= self._until:
            self._token, life = _read(self._run())
            self._until = now + life
        return self._token

    def forget(self) -> None:
        """Forget the token: it was refused."""
        self._token = ""

    def abort(self) -> None:
        """End a command that runs."""
        process = self._process
        if process is not None:
            with suppress(OSError):
                process.kill()

    def _run(self) -> bytes:
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; the operator's own words
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise LoginError(
                f"token_command {self._command[0]} can't be run: {error.strerror}"
            ) from error
        self._process = process
        alarm = threading.Timer(_SECONDS, process.kill)
        alarm.start()
        try:
            with process:
                octets = process.stdout.read(_LONGEST) if process.stdout else b""
                # More than a token is nothing that we wait for.
                if len(octets) == _LONGEST:
                    process.kill()
        finally:
            alarm.cancel()
            self._process = None
        if process.returncode:
            raise LoginError(
                f"token_command {self._command[0]} ended with {process.returncode}:"
                " run it by hand to see why"
            )
        return octets


def _read(octets: bytes) -> tuple[str, float]:
    """Return the token and how long it is good."""
    text = octets.decode("utf-8", "replace").strip()
    if not text.startswith("{"):
        return _checked(text.partition("\n")[0].strip()), _UNKNOWN
    try:
        value = json.loads(text)
        life = float(value.get("expires_in", _UNKNOWN + _EARLY)) - _EARLY
    except (ValueError, TypeError, RecursionError) as error:
        raise LoginError("token_command prints JSON that can't be read") from error
    token = value.get("access_token")
    if not isinstance(token, str):
        told = visible(str(value.get("error", "no access_token")))
        raise LoginError(f"token_command was given no token: {told}")
    return _checked(token), life


def _checked(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise LoginError("there is no access token, or it is not one (RFC 6750)")
    return token
