"""The first schema: tickets, articles, content, history, spool ledger, outbox.

Never edited once it has landed; a change is a further migration.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
OCTETS = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
# Addresses and message ids are compared octet by octet.
MARIADB: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

#: What makes the history append-only, by dialect.
GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER history_no_{verb} BEFORE {verb} ON history BEGIN "
        "SELECT RAISE(ABORT, 'the history is append-only'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        """CREATE FUNCTION history_append_only() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the history is append-only'; END $$""",
        """CREATE TRIGGER history_guard BEFORE UPDATE OR DELETE ON history
        FOR EACH ROW EXECUTE FUNCTION history_append_only()""",
        """CREATE TRIGGER history_guard_all BEFORE TRUNCATE ON history
        FOR EACH STATEMENT EXECUTE FUNCTION history_append_only()""",
    ],
    "mysql": [
        f"CREATE TRIGGER history_no_{verb} BEFORE {verb} ON history FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the history is append-only'"
        for verb in ("update", "delete")
    ],
}
GUARDS["mariadb"] = GUARDS["mysql"]


def upgrade() -> None:
    """Make every table, the guards of the history and its first head."""
    _tables()
    for statement in GUARDS.get(op.get_bind().dialect.name, []):
        op.execute(statement)
    head = sa.table("history_head", *map(sa.column, ("id", "seq", "epoch", "mac")))
    op.bulk_insert(head, [{"id": 1, "seq": 0, "epoch": 0, "mac": "0" * 64}])


def _tables() -> None:
    op.create_table(
        "article",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("ticket_id", BIG, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sender_type", sa.String(length=16), nullable=False),
        sa.Column("visible_to_customer", sa.SmallInteger(), nullable=False),
        sa.Column("from_text", TEXT, nullable=False),
        sa.Column("to_text", TEXT, nullable=False),
        sa.Column("cc_text", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("message_key", sa.String(length=32), nullable=True),
        sa.Column("dedup_key", sa.String(length=64), nullable=True),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("spool_id", sa.String(length=26), nullable=False),
        sa.Column("mail", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MARIADB,
    )
    op.create_index("article_dedup", "article", ["dedup_key"])
    op.create_index("article_spool", "article", ["spool_id"])
    op.create_index("article_content", "article", ["content_sha256"])
    op.create_index("article_message", "article", ["message_key"])
    op.create_index("article_ticket", "article", ["ticket_id", "id"])
    op.create_table(
        "content",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("encoding", sa.String(length=8), nullable=False),
        sa.Column("data", OCTETS, nullable=False),
        sa.PrimaryKeyConstraint("sha256", "n"),
        **MARIADB,
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **MARIADB,
    )
    op.create_table(
        "history",
        sa.Column("seq", BIG, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("cause", sa.String(length=254), nullable=False),
        sa.Column("ticket_id", BIG, nullable=True),
        sa.Column("article_id", BIG, nullable=True),
        sa.Column("queue", sa.String(length=190), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=190), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("payload_commit", sa.String(length=64), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        **MARIADB,
    )
    op.create_index("history_ticket", "history", ["ticket_id", "seq"])
    op.create_table(
        "history_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MARIADB,
    )
    op.create_table(
        "history_payload",
        sa.Column("seq", BIG, autoincrement=False, nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("data", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        **MARIADB,
    )
    op.create_table(
        "index_todo",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("article_id", BIG, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
        **MARIADB,
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=190), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **MARIADB,
    )
    op.create_table(
        "ledger",
        sa.Column("spool_id", sa.String(length=26), nullable=False),
        sa.Column("part", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("ticket_id", BIG, nullable=True),
        sa.Column("article_id", BIG, nullable=True),
        sa.Column("trash_id", BIG, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("spool_id", "part"),
        **MARIADB,
    )
    op.create_index("ledger_article", "ledger", ["article_id"])
    op.create_table(
        "lock_key",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **MARIADB,
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **MARIADB,
    )
    op.create_table(
        "outbox",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=190), nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MARIADB,
    )
    op.create_index("outbox_due", "outbox", ["kind", "next_at"])
    op.create_table(
        "participant",
        sa.Column("ticket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", "address"),
        **MARIADB,
    )
    op.create_table(
        "plugin_state",
        sa.Column("plugin", sa.String(length=64), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("ticket_id", BIG, nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("plugin", "key_hash"),
        **MARIADB,
    )
    op.create_index("plugin_state_due", "plugin_state", ["due_at"])
    op.create_table(
        "snapshot",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("data", OCTETS, nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        **MARIADB,
    )
    op.create_table(
        "ticket",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("number", sa.String(length=32), nullable=True),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("queue", sa.String(length=190), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("state_type", sa.String(length=24), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("owner", sa.String(length=190), nullable=False),
        sa.Column("locked_by", sa.String(length=190), nullable=False),
        sa.Column("locked_at", sa.BigInteger(), nullable=True),
        sa.Column("responsible", sa.String(length=190), nullable=False),
        sa.Column("customer", sa.String(length=254), nullable=False),
        sa.Column("fields", TEXT, nullable=False),
        sa.Column("open_key", sa.String(length=190), nullable=True),
        sa.Column("merged_into", BIG, nullable=True),
        sa.Column("pending_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("open_key"),
        **MARIADB,
    )
    op.create_index("ticket_changed", "ticket", ["changed_at"])
    op.create_index("ticket_customer", "ticket", ["customer"])
    op.create_index(
        "ticket_queue_state", "ticket", ["queue", "state_type", "changed_at"]
    )
    op.create_table(
        "ticket_link",
        sa.Column("ticket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("other_id", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", "other_id", "kind"),
        **MARIADB,
    )
    op.create_table(
        "ticket_tag",
        sa.Column("ticket_id", BIG, autoincrement=False, nullable=False),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", "tag"),
        **MARIADB,
    )
    op.create_index("ticket_tag_tag", "ticket_tag", ["tag", "ticket_id"])
    op.create_table(
        "trace",
        sa.Column("spool_id", sa.String(length=26), nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("data", OCTETS, nullable=False),
        sa.PrimaryKeyConstraint("spool_id"),
        **MARIADB,
    )
    op.create_table(
        "trash",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("spool_id", sa.String(length=26), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("envelope", TEXT, nullable=False),
        sa.Column("from_text", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("cause", sa.String(length=254), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MARIADB,
    )
    op.create_index("trash_content", "trash", ["content_sha256"])
    op.create_index("trash_spool", "trash", ["spool_id"])
    op.create_index("trash_expires", "trash", ["expires_at"])
