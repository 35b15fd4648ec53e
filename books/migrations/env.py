"""Alembic's entry: runs in the connection that `books.engine.migrate` hands over, or prints SQL (`--sql`)."""

from alembic import context

from books.tables import METADATA

connection = context.config.attributes.get("connection")
if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes.get("dialect", "postgresql"), target_metadata=METADATA, literal_binds=True
    )
else:
    context.configure(connection=connection, target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
