"""The site a command works on: which otrsd.yaml, and its App once it is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otrsd.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.desk.tickets import Who

#: Looked for in this order where neither -c nor $OTRSD_CONFIG names one.
PLACES = ("otrsd.yaml", "/etc/otrsd/otrsd.yaml")


class Site:
    """Finds the configuration; loads nothing before :meth:`app`."""

    def __init__(self, config: Path | None, environ: Mapping[str, str]) -> None:
        self._config = config
        self.environ = environ
        #: Whoever called, also after root has become the state folder's owner.
        self._caller = os.getuid()

    @property
    def path(self) -> Path:
        """Return the otrsd.yaml to use; ConfigError if there is none."""
        named = self._config or self.environ.get("OTRSD_CONFIG")
        if named:
            path = Path(named)
            path = path / "otrsd.yaml" if path.is_dir() else path
            if not path.is_file():
                raise ConfigError(
                    f"{path}: there is no such file. Name one: otrsd -c PATH, "
                    "or set OTRSD_CONFIG"
                )
            return path
        for place in PLACES:
            if Path(place).is_file():
                return Path(place)
        raise ConfigError(
            f"there is no otrsd.yaml here ({Path.cwd()}) and none in /etc/otrsd. "
            "Name one: otrsd -c PATH, or set OTRSD_CONFIG"
        )

    @property
    def state(self) -> Path:
        """Return the state folder without reading any YAML."""
        named = self.environ.get("OTRSD_STATE")
        return Path(named) if named else self.path.absolute().parent / "var"

    @property
    def caller(self) -> str:
        """Return the login name of the person who called."""
        from otrsd.cli.access import login

        return login(self._caller)

    @property
    def who(self) -> Who:
        """Return whose name stands in the history."""
        from otrsd.desk.tickets import Who

        return Who(actor=self.caller, cause="cli")

    @contextmanager
    def entered(self) -> Iterator[Path]:
        """Give the state folder, as its owner; new files are for that one only."""
        from otrsd.cli.access import enter

        state = self.state
        enter(state)
        before = os.umask(0o077)
        try:
            yield state
        finally:
            os.umask(before)

    @contextmanager
    def app(self, *, schema: bool = True, state: bool = False) -> Iterator[App]:
        """Give the loaded App.

        ``schema``: its database has to be up to date; ``state``: its state folder
        has to be there (``schema`` implies it).
        """
        from otrsd.app import load
        from otrsd.clock import SystemClock
        from otrsd.store.schema import require

        path = self.path
        with self.entered() as folder:
            if (schema or state) and not folder.is_dir():
                raise NotFoundError(
                    f"the state folder {folder} does not exist: no daemon has run here "
                    "yet, so there is nothing to look at. Try: otrsd run"
                )
            app = load(path, self.environ, SystemClock())
            try:
                if schema:
                    require(app.database)
                yield app
            finally:
                app.close()
