"""The configuration as frozen values: what ``otrsd.yaml`` and ``config/`` mean.

Made by :mod:`otrsd.config.load`; nothing here reads files. Conditions and actions
of rules stay located raw values: ``app.py`` gives them to the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024


class Model(BaseModel):
    """Frozen, and an unknown key is an error with its line."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Site(Model):
    """Who we are."""

    name: str = "otrsd"
    #: IANA name; days of ticket numbers and printed times are in it.
    timezone: str = "UTC"
    language: str = "en"
    #: The subject tag is ``[<hook>NUMBER]``.
    ticket_hook: str = "Ticket#"
    #: In every ticket number; different for two installations that mail each other.
    system_id: int = 1
    #: Queue for mail whose recipient names no queue (pipe, postmaster@).
    default_queue: str = ""
    #: Queue for every unknown recipient by SMTP and LMTP; empty: 550 5.1.1.
    catch_all: str = ""
    #: SQLAlchemy URL; empty: SQLite in the state folder.
    database: str = ""


class Listener(Model):
    """One SMTP or LMTP listener."""

    address: str = "127.0.0.1"
    port: int
    #: CIDR blocks that may connect.
    allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    #: CIDR blocks of the local MTA: long lines and bare line ends are stored.
    trusted_cidr: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    #: Largest content in octets.
    max_size: int = 25 * MIB
    max_connections: int = 200
    max_connections_per_peer: int = 10
    max_recipients: int = 100


class Listen(Model):
    """The ways in by network; an absent one is not opened."""

    smtp: Listener | None = None
    lmtp: Listener | None = None


class Queue(Model):
    """A named work basket of tickets."""

    #: Addresses whose mail lands here.
    address: tuple[str, ...] = ()
    description: str = ""


class Trash(Model):
    """How long discarded mails can be restored."""

    keep: timedelta = timedelta(days=30)


class Spool(Model):
    """Room that must stay free before another mail is taken."""

    max_size: int = 2048 * MIB
    #: Share of disk and inodes, in percent.
    min_free: int = 10


class Plugins(Model):
    """Which plugins run, and their settings as they stand in YAML."""

    disable: tuple[str, ...] = ()
    settings: Mapping[str, Any] = {}


class Config(Model):
    """Everything the files say, checked but not yet compiled."""

    site: Site = Site()
    listen: Listen = Listen()
    queues: Mapping[str, Queue] = {}
    #: Rule name → located raw value, in order.
    rules: Mapping[str, Any] = {}
    plugins: Plugins = Plugins()
    trash: Trash = Trash()
    spool: Spool = Spool()
    #: Postmaster processes; 0: as many as fit this machine.
    workers: int = 0
    #: Folder of ``otrsd.yaml``; relative paths count from it.
    root: Path
    #: ``var/`` beside it, or ``$OTRSD_STATE``.
    state: Path
    #: sha256 over every file read: the configuration's name in a trace.
    snapshot: str = ""
