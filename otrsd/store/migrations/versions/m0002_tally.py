"""Counts of automatic mails and loops: the table ``tally``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table and its indexes."""
    if op.get_context().dialect.name in {"mysql", "mariadb"}:
        # DDL commits by itself there: a step that was killed has left an empty table,
        # perhaps without an index.
        op.drop_table("tally", if_exists=True)
    op.create_table(
        "tally",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("who", sa.String(254), nullable=False),
        sa.Column("ticket_id", BIG),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Index("tally_who", "what", "who", "at"),
        sa.Index("tally_at", "what", "at"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
