"""The schema's version: look at it, upgrade it (Alembic), refuse a newer one.

Forward only and killable at any statement: on SQLite and PostgreSQL a step is one
transaction; MariaDB commits each statement, so a step there that was killed in the
first schema is begun again from an empty database.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic.command import upgrade as alembic_upgrade
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from otrsd.errors import SchemaError
from otrsd.store.engine import Database
from otrsd.store.tables import metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """Where a database's schema stands."""

    #: Empty: no schema yet.
    current: str
    #: What this program knows.
    newest: str
    #: False: the database was upgraded by a newer program.
    known: bool

    @property
    def is_current(self) -> bool:
        """Tell whether nothing is to be done."""
        return self.current == self.newest


def status(database: Database) -> SchemaStatus:
    """Look at the schema; changes nothing."""
    with database.read() as connection:
        return _status(connection)


def require(database: Database) -> None:
    """Raise SchemaError, with what to do, unless the schema is the newest."""
    found = status(database)
    if not found.known:
        raise SchemaError(
            f"the database has schema {found.current}, this otrsd knows only "
            f"{found.newest}: it was upgraded by a newer otrsd. Install that version, "
            "or restore the backup that was made before"
        )
    if not found.is_current:
        raise SchemaError(
            f"the database has schema {found.current or 'none'}, this otrsd needs "
            f"{found.newest}. Try: otrsd db upgrade"
        )


def upgrade(database: Database) -> SchemaStatus:
    """Bring the schema up to date; return where it stood before."""
    with database.write() as connection:
        before = _status(connection)
        if not before.known:
            raise SchemaError(
                f"the database has schema {before.current}, which is newer than "
                f"{before.newest}, the newest this otrsd knows; nothing was changed"
            )
        if before.is_current:
            return before
        if not before.current and connection.dialect.name in {"mysql", "mariadb"}:
            _sweep(connection)
        config = _config()
        config.attributes["connection"] = connection
        config.attributes["transactional"] = True
        # Alembic says at INFO what it does; the caller says it in our words.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        alembic_upgrade(config, "head")
    return before


def is_empty(database: Database) -> bool:
    """Tell whether there is no table at all, of whomever."""
    with database.read() as connection:
        return not sa.inspect(connection).get_table_names()


def empty(database: Database) -> None:
    """Remove every table: of a database that was empty, and filled to try a dump."""
    with database.write() as connection:
        everything = sa.MetaData()
        everything.reflect(connection)
        everything.drop_all(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("DROP FUNCTION IF EXISTS history_append_only()"))


def _sweep(connection: Connection) -> None:
    """Remove what a killed first step left where DDL commits by itself."""
    there = set(sa.inspect(connection).get_table_names())
    metadata.drop_all(
        connection, [t for t in metadata.sorted_tables if t.name in there]
    )


def _status(connection: Connection) -> SchemaStatus:
    script = ScriptDirectory.from_config(_config())
    newest = script.get_current_head() or ""
    current = MigrationContext.configure(connection).get_current_revision() or ""
    known = not current or current in {
        revision.revision for revision in script.walk_revisions()
    }
    return SchemaStatus(current=current, newest=newest, known=known)


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
