"""The configuration as frozen values: what ``otrsd.yaml`` and ``config/`` mean.

Made by :mod:`otrsd.config.load`; nothing here reads files. Conditions and actions
of rules stay located raw values: ``app.py`` gives them to the language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

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

    #: Of the site; people read it.
    name: str = "otrsd"
    #: IANA name; days of ticket numbers and printed times are in it.
    timezone: Annotated[str, AfterValidator(values.timezone)] = "UTC"
    #: Of what otrsd writes to people.
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
    #: Addresses of those who work here: what they forward makes a ticket of the
    #: original sender, where DMARC proves that it comes from them.
    agents: MailAddresses = ()
    #: Whether a mail to several queues makes a ticket in each, linked; else it makes
    #: one in the queue that is named first.
    one_ticket_per_queue: bool = False
    #: Where otrsd is reached by a browser; for templates.
    url: str = ""
    #: Mailed once a day for each cause when mail is held or a plugin is switched off;
    #: empty: nobody is.
    admin: Annotated[str, AfterValidator(values.address_or_none)] = ""
    #: Where set, our mails carry a token in the reply address
    #: (``support+r.NUMBER.TOKEN@…``); the MTA must deliver extended addresses.
    recipient_delimiter: Literal["", "+", "-", "_", "="] = ""
    #: Names under which our own MTA writes Authentication-Results, which must also be
    #: those in ``by`` of its Received fields; empty: nobody's are believed.
    authserv_id: Names = ()
    #: ``above-received``: its fields count above its Received. ``stripped``: wherever
    #: they stand, because it removes a sender's own first.
    authserv_position: Literal["above-received", "stripped"] = "above-received"
    #: Check SPF, DKIM, DMARC and ARC ourselves where our MTA has said nothing.
    check_senders: Annotated[bool, Strict()] = False
    #: Read the words of attachments (PDF, Office, text), so that searches find them.
    read_attachments: Annotated[bool, Strict()] = True
    #: SQLAlchemy URL; empty: SQLite in the state folder. Never part of a repr.
    database: Annotated[str, Field(repr=False)] = ""


class Listener(Model):
    """One SMTP or LMTP listener."""

    #: IP address; beyond loopback ``allow`` must be written, and a queue must have
    #: an address.
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
    #: At the same time.
    max_connections: Count = 200
    #: At the same time from one address.
    max_connections_per_peer: Count = 10
    #: Of one mail.
    max_recipients: Count = 100


class Health(Model):
    """Health and metrics by HTTP; on loopback only."""

    #: A loopback address.
    address: Annotated[str, AfterValidator(values.loopback)] = "127.0.0.1"
    #: 0: any free one.
    port: Annotated[Whole, Field(ge=0, le=65535)]


class Listen(Model):
    """The ways in by network; an absent one is not opened."""

    #: Mail by SMTP.
    smtp: Listener | None = None
    #: Mail by LMTP.
    lmtp: Listener | None = None
    #: ``/-/healthy``, ``/-/ready`` and ``/metrics`` by HTTP.
    health: Health | None = None


class Queue(Model):
    """A named work basket of tickets; ``Parent::Child`` is a sub-queue."""

    #: Addresses whose mail lands here; the domain in lower case.
    address: MailAddresses = ()
    #: For people.
    description: str = ""
    #: Template that answers the mail which makes a ticket; empty: no answer.
    auto_response: str = ""
    #: What becomes of mail to a closed ticket: it is appended and opens the ticket, it
    #: is appended and changes nothing, or it makes a new ticket.
    follow_up: Literal["possible", "reject", "new_ticket"] = "possible"
    #: So long after closing that is ``possible``; then it is ``new_ticket``.
    follow_up_within: Duration | None = None
    #: What becomes of a mail that would make a ticket here, if its sender never had
    #: one: a ticket, or it is held, or it goes to the trash.
    unknown_sender: Literal["create", "hold", "discard"] = "create"
    #: Template that answers a mail which is rejected; empty: no answer.
    auto_reject: str = "closed"
    #: Template that ends an agent's answer; empty: none.
    signature: str = ""
    #: Of its templates; empty: ``site.language``.
    language: str = ""


class LetterTemplate(Model):
    """A text with names in braces; ``name.de`` is its German form."""

    #: Empty: the ticket's title is told instead.
    subject: str = ""
    #: With names in braces.
    text: Annotated[str, Field(min_length=1)]


class Send(Model):
    """The smarthost that takes our mail (RFC 6409)."""

    host: Annotated[str, AfterValidator(values.host)]
    #: 465 speaks TLS from its first octet, the others by STARTTLS.
    port: Annotated[Whole, Field(ge=1, le=65535)] = 587
    #: Anything but ``required`` is for a host on loopback.
    tls: Literal["required", "opportunistic", "none"] = "required"
    #: Certificates that are trusted besides, a PEM file; counts from ``otrsd.yaml``.
    ca_file: str = ""
    #: For the login; empty: none.
    username: str = ""
    #: Better outside the files: ``{$credential: NAME}``.
    password: Annotated[str, Field(repr=False)] = ""
    #: Address in From of mails that no queue sends, and where a queue has none.
    from_address: Annotated[
        str, Field(alias="from"), AfterValidator(values.address_or_none)
    ] = ""
    #: Our name in EHLO and behind the ``@`` of a Message-ID; empty: this machine's.
    hostname: Annotated[str, AfterValidator(values.host_or_none)] = ""


class Crypto(Model):
    """Keys for S/MIME and PGP mail that comes in; paths count from ``otrsd.yaml``."""

    #: PEM files, each with a private key without passphrase and its certificate.
    smime_keys: Names = ()
    #: PEM file of the authorities whose signers are known; empty: none is.
    smime_ca: str = ""
    #: Home folder of GnuPG: our secret keys, and the public ones of who is known.
    pgp_home: str = ""


class FetchAccount(Model):
    """A mailbox from which mail is fetched."""

    protocol: Literal["imap", "pop3"]
    host: Annotated[str, AfterValidator(values.host)]
    #: 0: the usual one of ``protocol`` and ``tls``.
    port: Annotated[Whole, Field(ge=0, le=65535)] = 0
    #: From the first octet (993, 995); ``starttls`` (143, 110); ``none`` is for a host
    #: on loopback.
    tls: Literal["required", "starttls", "none"] = "required"
    #: Certificates that are trusted besides, a PEM file; counts from ``otrsd.yaml``.
    ca_file: str = ""
    #: For the login.
    username: Annotated[str, Field(min_length=1), AfterValidator(values.one_line)]
    #: Better outside the files: ``{$credential: NAME}``.
    password: Annotated[str, Field(repr=False), AfterValidator(values.one_line)] = ""
    #: ``xoauth2`` wants ``token_command`` or ``token`` instead of a password.
    auth: Literal["password", "xoauth2"] = "password"
    #: Access token that somebody else renews, where ``{$file: path}`` is read at a
    #: reload.
    token: Annotated[str, Field(repr=False)] = ""
    #: Words of a command, run without a shell, that prints a token endpoint's answer.
    token_command: Names = ()
    #: IMAP only.
    folder: Annotated[str, Field(min_length=1), AfterValidator(values.one_line)] = (
        "INBOX"
    )
    #: Leave mails where they are; else they are deleted once they are in the spool.
    keep: bool = False
    #: Folder into which they are moved instead (IMAP only).
    move_to: Annotated[str, AfterValidator(values.one_line)] = ""
    #: Between two visits.
    every: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=60)
    #: Let the server say when mail comes, if it can (IMAP only).
    idle: bool = True
    #: Queue of its mails that name no queue of ours; empty: ``site.default_queue``.
    queue: str = ""
    #: Larger mails are put aside and named.
    max_size: Size = 25 * MIB

    @property
    def reached_at(self) -> int:
        """Return the port."""
        usual = {"imap": (993, 143), "pop3": (995, 110)}[self.protocol]
        return self.port or usual[self.tls != "required"]


class Trash(Model):
    """How long discarded mails can be restored."""

    #: How long a discarded mail can be restored.
    keep: Duration = timedelta(days=30)


class Spool(Model):
    """Room that must stay free before another mail is taken."""

    #: Octets the spool may take in all.
    max_size: Size = 2048 * MIB
    #: Share of disk and inodes, in percent.
    min_free: Annotated[Whole, Field(ge=0, le=90)] = 10


class Plugins(Model):
    """Which plugins run, and their settings as they stand in YAML."""

    #: Names of plugins that are not loaded.
    disable: Names = ()
    #: Name of a plugin: its settings.
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
    #: Mailboxes elsewhere, by name.
    fetch: Mapping[str, FetchAccount] = {}
    #: The smarthost; absent: nothing is sent, what is owed waits.
    send: Send | None = None
    #: Template name → located raw value.
    templates: Mapping[str, Node] = {}
    #: Queue name → located value. Not a key: the loader puts it here.
    queue_nodes: Mapping[str, Node] = Field(
        default={}, repr=False, validation_alias=" queues"
    )
    #: Rule name → located raw value, in order.
    rules: Mapping[str, Node] = {}
    plugins: Plugins = Plugins()
    crypto: Crypto = Crypto()
    trash: Trash = Trash()
    spool: Spool = Spool()
    #: Postmaster processes; 0: as many as fit this machine.
    workers: Annotated[Whole, Field(ge=0, le=256)] = 0
    #: Folder of ``otrsd.yaml``; relative paths count from it.
    root: Path
    #: ``var/`` beside it, or ``$OTRSD_STATE``.
    state: Path
    #: sha256 over every file read, as it is stored: the configuration's name in a
    #: trace. A secret that is changed changes nothing.
    snapshot: str = ""
    #: File name → text of every file read, in order, without its secrets.
    files: Mapping[str, str] = Field(default={}, repr=False)

    def site_domain(self) -> str:
        """Return the domain in which our Message-IDs are; empty if there is none."""
        if self.send is not None and self.send.hostname:
            return self.send.hostname
        for queue in self.queues.values():
            for address in queue.address:
                return address.rpartition("@")[2]
        return self.send.from_address.rpartition("@")[2] if self.send else ""

    def snapshot_text(self) -> str:
        """Return all files as one text; ``snapshot`` is its sha256."""
        return json.dumps(dict(self.files), ensure_ascii=False)
