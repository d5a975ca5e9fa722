"""Every table of the desk's database.

Portable over SQLite, PostgreSQL, MariaDB and (DDL only) Oracle: no boolean, enum,
array or JSON type; times are microseconds since 1970 in UTC in a BIGINT (aware
``datetime`` on the Python side); JSON is text made by us. Columns that are
indexed have a length, as MariaDB wants it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = sa.MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: 64 bits; SQLite counts only a plain INTEGER primary key up by itself.
BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: MariaDB's TEXT ends at 64 KiB.
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
#: MariaDB's BLOB ends at 64 KiB.
Octets = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


class Utc(TypeDecorator[datetime]):
    """An aware time, stored as microseconds since 1970 in UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> int | None:
        """Turn a time into microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(
        self,
        value: int | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Turn microseconds into an aware time."""
        return None if value is None else _EPOCH + value * _MICROSECOND

    def coerce_compared_value(
        self,
        op: object,  # noqa: ARG002 - SQLAlchemy's signature
        value: object,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> TypeEngine[datetime]:
        """Bind what a column is compared with in the same way."""
        return self


ticket = sa.Table(
    "ticket",
    metadata,
    sa.Column("id", BigInt, primary_key=True, autoincrement=True),
    # NULL only inside the transaction that makes the ticket.
    sa.Column("number", sa.String(32), unique=True),
    sa.Column("title", LongText, nullable=False),
    sa.Column("queue", sa.String(190), nullable=False),
    sa.Column("state", sa.String(64), nullable=False),
    sa.Column("state_type", sa.String(24), nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("owner", sa.String(190), nullable=False),
    sa.Column("locked_by", sa.String(190), nullable=False),
    sa.Column("locked_at", Utc),
    sa.Column("responsible", sa.String(190), nullable=False),
    sa.Column("customer", sa.String(254), nullable=False),
    sa.Column("fields", LongText, nullable=False),
    # At most one active ticket has this key; NULL once it is inactive.
    sa.Column("open_key", sa.String(190), unique=True),
    sa.Column("merged_into", BigInt),
    sa.Column("pending_until", Utc),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("changed_at", Utc, nullable=False),
    sa.Column("closed_at", Utc),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ticket_queue_state", "queue", "state_type", "changed_at"),
    sa.Index("ticket_customer", "customer"),
    sa.Index("ticket_changed", "changed_at"),
)

ticket_tag = sa.Table(
    "ticket_tag",
    metadata,
    sa.Column("ticket_id", BigInt, primary_key=True, autoincrement=False),
    sa.Column("tag", sa.String(100), primary_key=True),
    sa.Index("ticket_tag_tag", "tag", "ticket_id"),
)

#: Who may add to a ticket by mail: exact addresses, the domain in lower case.
participant = sa.Table(
    "participant",
    metadata,
    sa.Column("ticket_id", BigInt, primary_key=True, autoincrement=False),
    sa.Column("address", sa.String(254), primary_key=True),
)

ticket_link = sa.Table(
    "ticket_link",
    metadata,
    sa.Column("ticket_id", BigInt, primary_key=True, autoincrement=False),
    sa.Column("other_id", BigInt, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(24), primary_key=True),
)

article = sa.Table(
    "article",
    metadata,
    sa.Column("id", BigInt, primary_key=True, autoincrement=True),
    sa.Column("ticket_id", BigInt, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("sender_type", sa.String(16), nullable=False),
    sa.Column("visible_to_customer", sa.SmallInteger, nullable=False),
    sa.Column("from_text", LongText, nullable=False),
    sa.Column("to_text", LongText, nullable=False),
    sa.Column("cc_text", LongText, nullable=False),
    sa.Column("subject", LongText, nullable=False),
    sa.Column("text", LongText, nullable=False),
    sa.Column("message_id", LongText, nullable=False),
    # 128 bits of sha256 of the Message-ID, hexadecimal; NULL where it has none.
    sa.Column("message_key", sa.String(32)),
    # Equal for two copies of one mail (Mail.dedup_key); NULL: never a duplicate.
    sa.Column("dedup_key", sa.String(64)),
    sa.Column("content_sha256", sa.String(64), nullable=False),
    sa.Column("spool_id", sa.String(26), nullable=False),
    # JSON: parts, defects, envelope.
    sa.Column("mail", LongText, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Index("article_ticket", "ticket_id", "id"),
    sa.Index("article_message", "message_key"),
    sa.Index("article_dedup", "dedup_key"),
    sa.Index("article_spool", "spool_id"),
    sa.Index("article_content", "content_sha256"),
)

#: The words of attachments, or why there are none; they go with their article.
part_text = sa.Table(
    "part_text",
    metadata,
    sa.Column("article_id", BigInt, primary_key=True, autoincrement=False),
    # Position in the MIME tree.
    sa.Column("path", sa.String(190), primary_key=True),
    sa.Column("characters", sa.Integer, nullable=False),
    sa.Column("reason", sa.String(200), nullable=False),
    sa.Column("text", LongText, nullable=False),
)

#: The octets of a mail, compressed, in pieces of at most 1 MiB before compression.
content = sa.Table(
    "content",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    # Octets of the whole mail, the same in each piece.
    sa.Column("size", sa.BigInteger, nullable=False),
    # zlib, or none where it would not shrink.
    sa.Column("encoding", sa.String(8), nullable=False),
    sa.Column("data", Octets, nullable=False),
)

#: What became of each spooled mail: article, trash or duplicate (held stays there).
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("spool_id", sa.String(26), primary_key=True),
    # 0 unless one mail makes a ticket in each of several queues.
    sa.Column("part", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("ticket_id", BigInt),
    sa.Column("article_id", BigInt),
    sa.Column("trash_id", BigInt),
    sa.Column("at", Utc, nullable=False),
    sa.Index("ledger_article", "article_id"),
)

#: One row per change, append-only: triggers refuse UPDATE and DELETE.
history = sa.Table(
    "history",
    metadata,
    sa.Column("seq", BigInt, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("at", Utc, nullable=False),
    sa.Column("node", sa.String(64), nullable=False),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("actor", sa.String(254), nullable=False),
    sa.Column("cause", sa.String(254), nullable=False),
    sa.Column("ticket_id", BigInt),
    sa.Column("article_id", BigInt),
    # As of this moment, so that the past is a single look-up.
    sa.Column("queue", sa.String(190), nullable=False),
    sa.Column("state", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(190), nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    # sha256(salt ‖ payload), then the chain: the mac covers every column and prev.
    sa.Column("payload_commit", sa.String(64), nullable=False),
    sa.Column("prev", sa.String(64), nullable=False),
    sa.Column("mac", sa.String(64), nullable=False),
    sa.Index("history_ticket", "ticket_id", "seq"),
)

#: Old and new value and free text; loses a row only together with an erased event.
history_payload = sa.Table(
    "history_payload",
    metadata,
    sa.Column("seq", BigInt, primary_key=True, autoincrement=False),
    sa.Column("salt", sa.String(32), nullable=False),
    sa.Column("data", LongText, nullable=False),
)

#: One row: the chain's end. Its lock is the last one before COMMIT.
history_head = sa.Table(
    "history_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", BigInt, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("mac", sa.String(64), nullable=False),
)

#: Ticket numbers given out so far, by day; its lock is the last but one.
counter = sa.Table(
    "counter",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

#: Why each mail went where it went: compressed JSON.
trace = sa.Table(
    "trace",
    metadata,
    sa.Column("spool_id", sa.String(26), primary_key=True),
    sa.Column("snapshot", sa.String(64), nullable=False),
    sa.Column("data", Octets, nullable=False),
)

#: The configuration a trace speaks of, by hash of its content.
snapshot = sa.Table(
    "snapshot",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("data", Octets, nullable=False),
)

#: Discarded mails (and, later, deleted tickets) until they expire.
trash = sa.Table(
    "trash",
    metadata,
    sa.Column("id", BigInt, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("spool_id", sa.String(26), nullable=False),
    sa.Column("content_sha256", sa.String(64), nullable=False),
    sa.Column("envelope", LongText, nullable=False),
    sa.Column("from_text", LongText, nullable=False),
    sa.Column("subject", LongText, nullable=False),
    # Who discarded it: plugin:spam, rule:NAME …
    sa.Column("cause", sa.String(254), nullable=False),
    sa.Column("reason", LongText, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Index("trash_expires", "expires_at"),
    sa.Index("trash_content", "content_sha256"),
    sa.Index("trash_spool", "spool_id"),
)

#: Side effects owed; leased, done at least once, then deleted.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", BigInt, primary_key=True, autoincrement=True),
    # The lane: event (one row per observing plugin), mail, extract; dead-mail waits
    # for a person.
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("target", sa.String(190), nullable=False),
    sa.Column("payload", LongText, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", Utc, nullable=False),
    sa.Column("leased_until", Utc),
    sa.Column("reason", LongText, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Index("outbox_due", "kind", "next_at"),
)

#: What is capped: one row each time, counted over a window, then forgotten.
tally = sa.Table(
    "tally",
    metadata,
    sa.Column("id", BigInt, primary_key=True, autoincrement=True),
    # answer (an automatic mail), reject (one of them), loop, bounced, admin.
    sa.Column("what", sa.String(16), nullable=False),
    # An address in lower case, or the hash of a cause.
    sa.Column("who", sa.String(254), nullable=False),
    sa.Column("ticket_id", BigInt),
    sa.Column("at", Utc, nullable=False),
    sa.Index("tally_who", "what", "who", "at"),
    sa.Index("tally_at", "what", "at"),
)

#: Articles whose words the index does not have yet (the index lane's outbox).
index_todo = sa.Table(
    "index_todo",
    metadata,
    sa.Column("id", BigInt, primary_key=True, autoincrement=True),
    sa.Column("article_id", BigInt, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    # SQLite would give the numbers of an emptied table again.
    sqlite_autoincrement=True,
)

#: A plugin's own memory: rows (plugin, key) → JSON, ticket, due time.
plugin_state = sa.Table(
    "plugin_state",
    metadata,
    sa.Column("plugin", sa.String(64), primary_key=True),
    # sha256 of the key: keys have any length, indexes don't.
    sa.Column("key_hash", sa.String(64), primary_key=True),
    sa.Column("key", LongText, nullable=False),
    sa.Column("value", LongText, nullable=False),
    sa.Column("ticket_id", BigInt),
    sa.Column("due_at", Utc),
    sa.Index("plugin_state_due", "due_at"),
)

#: Rows to lock where the database has no advisory locks (MariaDB).
lock_key = sa.Table(
    "lock_key",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
)

#: Leases that one process of the installation holds, with a fencing number.
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(190), nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("until", Utc, nullable=False),
)

#: Facts about the database itself: index generation, installation id …
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", LongText, nullable=False),
)
