r"""``otrsd pipe``: one mail from an MTA, procmail or a script, on standard input.

In: the content on descriptor 0; sender and recipients by option, environment or
trace fields. Out: a synced file in the drop folder, or the mail in the hands of the
daemon's submit socket; only then exit 0. Nothing of ours outside this folder is
imported, and only the cheapest modules of the standard library (no pathlib, typing,
signal, json: each costs a third of the interpreter's start and more); of the
installation only ``<state>/pipe.json`` is read.

``request`` what is asked · ``handover`` the drop file and the socket · ``answer`` the
exit codes.

Every exit code is from sysexits.h, and what is not known to be the mail's own fault
is 75, because an MTA bounces all others (postfix pipe(8)): 0 stored · 65 empty ·
67 unknown recipient, with ``--strict`` · 69 too big, or in a loop · 75 not now. The
one line on standard output begins with the enhanced code (RFC 3463). The input is
always read to its end, at most 64 MiB of it and for at most 300 s.

Known weakness: a writer that dies in the middle can't be told from one that is done.

The drop file: one line of JSON (``otrsd: 1``, ``id``, ``envelope``, ``size``,
``sha256``), the content, and ``\nEND\n``. The submit socket speaks the same.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal costs 3 ms
import errno
import os
import sys

from otrsd.pipe.answer import (
    EX_DATAERR,
    EX_OK,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    Refusal,
    say,
)
from otrsd.pipe.handover import deliver
from otrsd.pipe.request import Request, envelope, header_section, read_request

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_DRAIN = 64 * 1024 * 1024
#: What a pipe of the kernel holds; larger buffers would be cut and fragment.
_READ = 64 * 1024
#: Seconds for everything; Postfix bounces what runs past 1,000.
_ALARM = 300


def main(arguments: list[str] | None = None) -> int:
    """Take one mail and return the exit code; never raises."""
    try:
        _settle()
        given = sys.argv[1:] if arguments is None else arguments
        if arguments is None and given[:1] == ["pipe"]:
            given = given[1:]
        _take(given)
    except Refusal as refusal:
        say(refusal.line)
        return refusal.code
    except OSError as error:
        code = "4.3.1" if error.errno in _NO_ROOM else "4.3.0"
        say(f"{code} the mail can't be stored now: {error}; try again later")
        return EX_TEMPFAIL
    except BaseException as error:  # noqa: BLE001 - also MemoryError, SystemExit
        say(f"4.3.0 the mail can't be stored now: {error!r}; try again later")
        return EX_TEMPFAIL
    return EX_OK


def _settle() -> None:
    """Put right what a caller may have left us: signals, mask, descriptors."""
    os.umask(0o077)
    for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT, _signal.SIGALRM):
        _signal.signal(number, _interrupt)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    _signal.alarm(_ALARM)
    if not _is_open(0):
        # An open file must never become standard input.
        os.open(os.devnull, os.O_RDONLY)
    while not _is_open(1) or not _is_open(2):
        # Nor may what we say land in the drop file.
        os.open(os.devnull, os.O_WRONLY)


def _interrupt(number: int, _frame: object) -> None:
    what = "took too long" if number == _signal.SIGALRM else "was interrupted"
    raise Refusal(EX_TEMPFAIL, f"4.3.0 otrsd pipe {what}; try again later")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _take(arguments: list[str]) -> None:
    refusal: BaseException | None = None
    request = Request()
    try:
        read_request(request, arguments)
    except (Exception, MemoryError) as error:  # noqa: BLE001 - told after the input is read
        refusal = error
    chunks = _read(request.max_size, keep=refusal is None)
    if refusal is not None:
        raise refusal
    _refuse_content(chunks, request.max_received)
    deliver(request, envelope(request, chunks), chunks)


def _read(max_size: int, *, keep: bool) -> list[bytes]:
    """Return the input in chunks; refuse it if it is empty or longer than allowed."""
    os.set_blocking(0, True)
    chunks: list[bytes] = []
    total = 0
    # One octet beyond the limit must be seen: a mail cut there would count as whole.
    while total <= max(_DRAIN, max_size):
        chunk = os.read(0, _READ)
        if not chunk:
            break
        total += len(chunk)
        if total > max_size:
            chunks.clear()
        elif keep:
            chunks.append(chunk)
    if keep and total > max_size:
        raise Refusal(
            EX_UNAVAILABLE, f"5.3.4 the mail is larger than {max_size} octets"
        )
    return chunks


def _refuse_content(chunks: list[bytes], max_received: int) -> None:
    if not any(chunk.strip() for chunk in chunks):
        raise Refusal(EX_DATAERR, "5.6.0 the mail is empty")
    count = sum(line[:9].lower() == b"received:" for line in header_section(chunks))
    if count > max_received:
        raise Refusal(
            EX_UNAVAILABLE,
            f"5.4.6 the mail has {count} Received fields: it runs in a loop",
        )
