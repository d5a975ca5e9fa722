"""The form of a backup: a tar file whose first member tells all others.

``manifest.json`` has the size and sha256 of each member and the number of rows of each
table. Members: ``site/`` (otrsd.yaml, config/, plugins/, credentials/ and the unit),
``state/`` (spool.db, drop/, keys/) and the desk, ``state/desk.db`` or ``desk.dump`` of
PostgreSQL's pg_dump. Reading believes nothing: only names of this form, only regular
files, every octet checked, and never outside the folder that was named.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from otrsd.errors import InputError

MANIFEST = "manifest.json"
FORMAT = 1
_NAME = re.compile(r"(?:desk\.dump|(?:site|state)(?:/[^/\x00]+){1,8})")
_CHUNK = 1024 * 1024
_LONGEST_MANIFEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    version: str
    #: When it was made (ISO 8601, UTC).
    at: str
    #: ``sqlite`` or ``postgresql``.
    database: str
    schema: str
    #: Table → its rows; of the spool: ``spool``.
    rows: Mapping[str, int]
    #: Member → (octets, sha256).
    files: Mapping[str, tuple[int, str]]


def digest(path: Path) -> tuple[int, str]:
    """Return size and sha256 of a file."""
    found = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
            size += len(chunk)
    return size, found.hexdigest()


def pack(target: Path, manifest: Manifest, members: Mapping[str, Path]) -> None:
    """Write the tar file: a new one, whole or not at all, for its owner only."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(unfinished, flags, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            _write(file, target, manifest, members)
            file.flush()
            os.fsync(descriptor)
        # A link, not a rename: it never takes the place of another backup.
        os.link(unfinished, target)
    except FileExistsError as error:
        raise InputError(f"{target} is there already. Name another file") from error
    finally:
        unfinished.unlink()


def unpack(source: Path, folder: Path) -> Manifest:
    """Write every member below ``folder``; InputError where one is damaged."""
    try:
        with tarfile.open(source, "r:*") as tar:
            manifest = _manifest(tar)
            missing = set(manifest.files)
            while (member := tar.next()) is not None:
                if member.name not in missing or not member.isreg():
                    raise _bad(source, f"it holds '{member.name}', which it can't")
                missing.discard(member.name)
                _extract(tar, member, folder, manifest.files[member.name], source)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise InputError(f"{error.filename}: {error.strerror}") from error
        raise _bad(source, str(error)) from error
    if missing:
        raise _bad(source, f"it lacks {', '.join(sorted(missing))}")
    return manifest


def _write(
    file: io.BufferedWriter,
    target: Path,
    manifest: Manifest,
    members: Mapping[str, Path],
) -> None:
    mode = "w:gz" if target.suffix in {".gz", ".tgz"} else "w:"
    with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload] # the mode is a text of ours
        text = json.dumps(asdict(manifest), indent=1).encode()
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mode = len(text), 0o600
        tar.addfile(head, io.BytesIO(text))
        for name, path in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = manifest.files[name][0], 0o600
            info.mtime = int(path.stat().st_mtime)
            with path.open("rb") as content:
                tar.addfile(info, content)


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    source = Path(str(tar.name))
    file = tar.extractfile(first) if first and first.name == MANIFEST else None
    if first is None or file is None or first.size > _LONGEST_MANIFEST:
        raise _bad(source, f"its first member is not {MANIFEST}")
    try:
        fields = json.loads(file.read())
        files = {name: (int(s), str(d)) for name, (s, d) in fields["files"].items()}
        manifest = Manifest(**{**fields, "files": files})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _bad(source, f"{MANIFEST} can't be read: {error}") from error
    if manifest.format != FORMAT:
        raise InputError(
            f"{source} has form {manifest.format}, this otrsd reads {FORMAT}; it was "
            f"made by otrsd {manifest.version}: install that one"
        )
    for name in manifest.files:
        if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
            raise _bad(source, f"it names '{name}'")
    return manifest


def _extract(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    folder: Path,
    wanted: tuple[int, str],
    source: Path,
) -> None:
    path = folder / member.name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    found = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
        while content is not None and (chunk := content.read(_CHUNK)):
            found.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if (member.size, found.hexdigest()) != wanted:
        raise _bad(source, f"'{member.name}' is damaged")


def _bad(source: Path, text: str) -> InputError:
    first = text.partition("\n")[0].rstrip(":")
    return InputError(f"{source} is no whole backup: {first}. Take another one")
