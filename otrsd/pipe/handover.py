"""Handing the mail over: a synced drop file, or the daemon's submit socket.

In: the envelope as JSON, the content in chunks; it is on stable storage on return.
Raises :class:`~otrsd.pipe.answer.Refusal` and OSError.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal costs 3 ms
import os
import time

from otrsd.pipe.answer import ANSWERS, EX_OK, EX_TEMPFAIL, Refusal

try:
    # hashlib would load OpenSSL, which costs 2 ms.
    from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        # Its name since Python 3.12.
        from _sha2 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore]
    except ImportError:
        from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from otrsd.pipe.request import Request

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def deliver(request: Request, envelope: str, chunks: list[bytes]) -> None:
    """Put the mail where it is safe."""
    name = _new_id()
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
    header = (
        f'{{"otrsd": 1, "id": "{name}", "size": {sum(map(len, chunks))},'
        f' "sha256": "{digest.hexdigest()}", "envelope": {envelope}}}\n'
    )
    frame = [header.encode(), *chunks, b"\nEND\n"]
    if _is_mine(request.drop):
        _drop(request.drop, name, frame, request.min_free)
    else:
        _submit(request.socket, frame)


def _is_mine(folder: str) -> bool:
    try:
        return os.stat(folder).st_uid == os.geteuid()
    except OSError:
        return False


def _drop(folder: str, name: str, frame: list[bytes], min_free: int) -> None:
    """Write the drop file; it is on the disk, with its name, on return."""
    disk = os.statvfs(folder)
    if disk.f_bavail * 100 < min_free * disk.f_blocks:
        raise Refusal(
            EX_TEMPFAIL, f"4.3.1 less than {min_free} % of the disk of {folder} is free"
        )
    unfinished = os.path.join(folder, "tmp", name)
    finished = os.path.join(folder, name)
    written = unfinished
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o600)
    try:
        try:
            for piece in frame:
                _write_all(descriptor, piece)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _failpoint("pipe.before_rename")
        # Once it has its name an interruption would deny what is true.
        for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT):
            _signal.signal(number, _signal.SIG_IGN)
        os.rename(unfinished, finished)
        written = finished
        _failpoint("pipe.after_rename")
        _sync_folder(folder)
    except BaseException:
        # A file whose sync failed is thrown away, never synced again and believed.
        os.unlink(written)
        raise


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _submit(path: str, frame: list[bytes]) -> None:
    """Hand the mail to the daemon, and pass its answer on."""
    import socket  # noqa: PLC0415 - only where we may not write

    with socket.socket(socket.AF_UNIX) as connection:
        _connect(connection, path)
        try:
            for piece in frame:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            # It may have said why before it hung up.
            pass
        answer = b""
        while not answer.endswith(b"\n") and (chunk := connection.recv(4096)):
            answer += chunk
    code, _, line = answer.decode("utf-8", "replace").strip().partition(" ")
    if not code.isdecimal() or int(code) not in ANSWERS:
        raise Refusal(EX_TEMPFAIL, "4.3.0 the daemon gave no answer; try again later")
    if int(code) != EX_OK:
        raise Refusal(int(code), line)


def _connect(connection: socket.socket, path: str) -> None:
    # A unix address holds some 100 octets; Linux offers a short way to long ones.
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except OSError as error:
        raise Refusal(
            EX_TEMPFAIL, f"4.3.0 nobody listens on {path}: {error.strerror}"
        ) from None
    finally:
        os.close(folder)


def _new_id() -> str:
    """Return a spool id of the form of ``otrsd.ids`` (ULID)."""
    now = time.time_ns() // 1_000_000 & (1 << 48) - 1
    value = now << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def _failpoint(name: str) -> None:
    """Kill this process if a crash test has armed ``name`` (``otrsd.failpoint``)."""
    folder = os.environ.get("OTRSD_FAILPOINT_DIR")
    if folder is None:
        return
    try:
        os.unlink(f"{folder}/{name}")
    except OSError:
        return
    os.kill(os.getpid(), _signal.SIGKILL)
