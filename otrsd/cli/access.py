"""Who may work on a state folder, and as whom.

Only the owner of the state folder (the daemon's user) and root may look at mails or
change anything. Root becomes that owner first, before any file is opened and any
plugin is loaded, so that no command leaves a file behind that the daemon can't write.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from otrsd.errors import NotAllowedError


def login(uid: int) -> str:
    """Return the login name of ``uid``; ``uid:1000`` where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def enter(state: Path) -> None:
    """Become the owner of ``state``, or raise NotAllowedError.

    A state folder that does not exist yet is nobody's: everybody may go on.
    """
    try:
        owner = state.stat()
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise NotAllowedError(
            f"the state folder {state} is closed to you ({login(os.geteuid())}). "
            "Run this command as the user of the daemon. "
            "Try: sudo otrsd … (it becomes that user by itself)"
        ) from error
    uid = os.geteuid()
    if uid == owner.st_uid:
        return
    if uid != 0:
        name = login(owner.st_uid)
        whose = "root" if owner.st_uid == 0 else f"{name} and root"
        raise NotAllowedError(
            f"the state folder {state} belongs to {name}, and you are {login(uid)}: "
            f"only {whose} may look at it. Try: sudo -u {name} otrsd …"
        )
    _become(owner.st_uid, owner.st_gid)


def shed_root(state: Path) -> None:
    """Keep plugins from running as root; others go on as who they are.

    For commands that look at the configuration only, which anybody may who can
    read it.
    """
    if os.geteuid() == 0:
        enter(state)


def _become(uid: int, gid: int) -> None:
    """Give root's rights up for good; the order matters: groups, group, user."""
    try:
        os.initgroups(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        os.setgroups([])
    os.setgid(gid)
    os.seteuid(uid)
    closed = next((each for each in (os.__file__, __file__) if not _opens(each)), None)
    os.seteuid(0)
    if closed is not None:
        # Said now: later nothing could be imported any more, not even for the words.
        raise NotAllowedError(
            f"the state folder belongs to {login(uid)}, as whom this command and the "
            f"daemon run, and who can't read {closed}. Install otrsd and its Python "
            "where everybody can read them. Try: python3 -m venv /opt/otrsd"
        )
    os.setuid(uid)


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
