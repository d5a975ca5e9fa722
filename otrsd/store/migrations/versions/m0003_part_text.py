"""The words of attachments: the table ``part_text``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Make the table."""
    if op.get_context().dialect.name in {"mysql", "mariadb"}:
        # DDL commits by itself there: a step that was killed has left an empty table.
        op.drop_table("part_text", if_exists=True)
    op.create_table(
        "part_text",
        sa.Column("article_id", BIG, primary_key=True, autoincrement=False),
        sa.Column("path", sa.String(190), primary_key=True),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("text", TEXT, nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
