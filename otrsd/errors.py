"""The exception tree; every error knows whether trying again can help.

::

    OtrsdError
    ├── TemporaryError       the same request may succeed later (4yz, exit 75)
    │   ├── DatabaseAwayError   the desk's database does not answer
    │   └── SpoolFullError      disk, inodes or quota; the spool refuses for now
    └── PermanentError       trying again gives the same answer
        ├── ConfigError         YAML, plugin file or setting; carries its problems
        ├── NotFoundError       no such ticket, queue, mail, rule … (exit 3)
        ├── NotAllowedError     permission (exit 4)
        ├── ConflictError       locked, or changed by somebody else (exit 6)
        ├── SchemaError         a database that is newer or older than this program
        └── InputError          a value from outside that has no meaning here

``str(error)`` is text for a person: what, where, why, and what to do next. The
cause, if any, is in ``__cause__`` and goes to the log only.
"""

from __future__ import annotations


class OtrsdError(Exception):
    """Base of all errors that otrsd raises on purpose."""

    #: Whether the same request may succeed later without a person's help.
    temporary = False
    #: Exit code of a command that ends with this error (ux.md §1.1).
    exit_code = 1


class TemporaryError(OtrsdError):
    """The same request may succeed later."""

    temporary = True
    exit_code = 75


class DatabaseAwayError(TemporaryError):
    """The desk's database does not answer."""


class SpoolFullError(TemporaryError):
    """There is no room (disk, inodes, quota) to take another mail."""


class PermanentError(OtrsdError):
    """Trying again gives the same answer."""


class ConfigError(PermanentError):
    """The configuration can't be used; ``str`` lists every problem, one a line."""


class NotFoundError(PermanentError):
    """What was named does not exist."""

    exit_code = 3


class NotAllowedError(PermanentError):
    """The actor lacks the right."""

    exit_code = 4


class ConflictError(PermanentError):
    """Somebody else holds the object or has changed it meanwhile."""

    exit_code = 6


class SchemaError(PermanentError):
    """The database's schema does not fit this program (EX_CONFIG)."""

    exit_code = 78


class InputError(PermanentError):
    """A value from outside that has no meaning here."""
