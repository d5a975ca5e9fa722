"""The configuration as frozen values: what ``otrsd.yaml`` and ``config/`` mean.

Made by :mod:`otrsd.config.load`; nothing here reads files. Conditions and actions
of rules stay located raw values: ``app.py`` gives them to the language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from otrsd.config import values
from otrsd.config.yaml import Node

MIB = 1024 * 1024

Whole = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Size = Annotated[int, BeforeValidator(values.size), Strict(), Field(ge=1)]
Duration = Annotated[timedelta, BeforeValidator(values.duration)]
Network = Annotated[str, AfterValidator(values.network)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(values.one_or_many)]
MailAddress = Annotated[str, AfterValidator(values.address)]
MailAddresses = Annotated[tuple[MailAddress, ...], BeforeValidator(values.one_or_many)]
Names = Annotated[tuple[str, ...], BeforeValidator(values.one_or_many)]
QueueName = Annotated[str, AfterValidator(values.queue_name)]


class Model(BaseModel):
    """Frozen, and an unknown key is an error with its line."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        """Let a name with nothing behind it stand for all defaults."""
        return {} if value is None else value


class Site(Model):
    """Who we are."""

    name: str = "otrsd"
    #: IANA name; days of ticket numbers and printed times are in it.
    timezone: Annotated[str, AfterValidator(values.timezone)] = "UTC"
    language: str = "en"
    #: The subject tag is ``[<hook>NUMBER]``.
    ticket_hook: Annotated[str, Field(min_length=1, max_length=40)] = "Ticket#"
    #: In every ticket number (OTRS SystemID); different for two installations that
    #: mail each other.
    system_id: Annotated[Whole, Field(ge=1, le=9999)] = 10
    #: Queue for mail whose recipient names no queue (pipe, postmaster@); after
    #: loading it is never empty: ``support``, or else the first queue there is.
    default_queue: str = ""
    #: Queue for every unknown recipient by SMTP and LMTP; empty: 550 5.1.1.
    catch_all: str = ""
    #: SQLAlchemy URL; empty: SQLite in the state folder. Never part of a repr.
    database: Annotated[str, Field(repr=False)] = ""


class Listener(Model):
    """One SMTP or LMTP listener."""

    address: Annotated[str, AfterValidator(values.bind_address)] = "127.0.0.1"
    #: 0: any free one.
    port: Annotated[Whole, Field(ge=0, le=65535)]
    #: CIDR blocks that may connect; must be written where ``address`` is not
    #: loopback.
    allow: Networks = ("127.0.0.0/8", "::1/128")
    #: CIDR blocks of the local MTA: long lines and bare line ends are stored.
    trusted_cidr: Networks = ("127.0.0.0/8", "::1/128")
    #: Largest content in octets.
    max_size: Size = 25 * MIB
    max_connections: Count = 200
    max_connections_per_peer: Count = 10
    max_recipients: Count = 100


class Listen(Model):
    """The ways in by network; an absent one is not opened."""

    smtp: Listener | None = None
    lmtp: Listener | None = None


class Queue(Model):
    """A named work basket of tickets; ``Parent::Child`` is a sub-queue."""

    #: Addresses whose mail lands here; the domain in lower case.
    address: MailAddresses = ()
    description: str = ""


class Trash(Model):
    """How long discarded mails can be restored."""

    keep: Duration = timedelta(days=30)


class Spool(Model):
    """Room that must stay free before another mail is taken."""

    max_size: Size = 2048 * MIB
    #: Share of disk and inodes, in percent.
    min_free: Annotated[Whole, Field(ge=0, le=90)] = 10


class Plugins(Model):
    """Which plugins run, and their settings as they stand in YAML."""

    disable: Names = ()
    settings: Mapping[str, Any] = Field(default={}, repr=False)
    #: The same, with the place of each value (``load.fit`` makes models of them).
    #: Not a key: the loader puts it here, so no file may (hence the odd alias).
    nodes: Mapping[str, Node] = Field(default={}, repr=False, validation_alias=" ")
    #: ``disable`` with its places; no key either.
    disabled: Node | None = Field(default=None, repr=False, validation_alias="  ")


class Config(Model):
    """Everything the files say, checked but not yet compiled."""

    site: Site = Site()
    listen: Listen = Listen()
    queues: Mapping[str, Queue] = {}
    #: Rule name → located raw value, in order.
    rules: Mapping[str, Node] = {}
    plugins: Plugins = Plugins()
    trash: Trash = Trash()
    spool: Spool = Spool()
    #: Postmaster processes; 0: as many as fit this machine.
    workers: Annotated[Whole, Field(ge=0, le=256)] = 0
    #: Folder of ``otrsd.yaml``; relative paths count from it.
    root: Path
    #: ``var/`` beside it, or ``$OTRSD_STATE``.
    state: Path
    #: sha256 over every file read: the configuration's name in a trace.
    snapshot: str = ""
    #: File name → text of every file read, in order.
    files: Mapping[str, str] = Field(default={}, repr=False)

    def snapshot_text(self) -> str:
        """Return all files as one text; ``snapshot`` is its sha256."""
        return json.dumps(dict(self.files), ensure_ascii=False)
