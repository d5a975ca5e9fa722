"""The site a command works on: which otrsd.yaml, and its App once it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otrsd.errors import ConfigError

if TYPE_CHECKING:
    from otrsd.app import App

#: Looked for in this order where neither -c nor $OTRSD_CONFIG names one.
PLACES = ("otrsd.yaml", "/etc/otrsd/otrsd.yaml")


class Site:
    """Finds the configuration; loads nothing before :meth:`app`."""

    def __init__(self, config: Path | None, environ: Mapping[str, str]) -> None:
        self._config = config
        self.environ = environ

    @property
    def path(self) -> Path:
        """Return the otrsd.yaml to use; ConfigError if there is none."""
        named = self._config or self.environ.get("OTRSD_CONFIG")
        if named:
            path = Path(named)
            path = path / "otrsd.yaml" if path.is_dir() else path
            if not path.is_file():
                raise ConfigError(f"{path}: there is no such file")
            return path
        for place in PLACES:
            if Path(place).is_file():
                return Path(place)
        raise ConfigError(
            f"there is no otrsd.yaml here ({Path.cwd()}) and none in /etc/otrsd. "
            "Name one: otrsd -c PATH, or set OTRSD_CONFIG"
        )

    @contextmanager
    def app(self, *, schema: bool = True) -> Iterator[App]:
        """Give the loaded App; with ``schema``, of a database that is up to date."""
        from otrsd.app import load
        from otrsd.clock import SystemClock
        from otrsd.store.schema import require

        app = load(self.path, self.environ, SystemClock())
        try:
            if schema:
                require(app.database)
            yield app
        finally:
            app.close()
