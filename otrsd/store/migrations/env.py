"""Alembic's entry: runs the steps on the connection that schema.py hands over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=context.config.attributes["transactional"],
)
with context.begin_transaction():
    context.run_migrations()
