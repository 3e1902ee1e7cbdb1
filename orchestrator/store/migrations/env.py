"""Alembic's entrance: migrates over the connection, and within the transaction, that `opening` hands it."""

from alembic import context

from orchestrator.store.migrations.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
