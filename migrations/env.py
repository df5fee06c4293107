"""Alembic's environment: runs as the schema's owner, over a connection of its own, and waits for no lock for long."""

import logging
import warnings

from alembic import context
from flask import current_app
from sqlalchemy import create_engine, pool, text

from app import models  # noqa: F401 - makes the tables known

logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
logging.getLogger("alembic.autogenerate.compare").setLevel(logging.INFO)

# The index for the text filter is Postgres' alone; on SQLite there is none to compare, as intended.
warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression-based index")

LOCK_TIMEOUT = "3s"  # an ALTER that queues behind a long transaction makes every reader queue behind itself

migrate = current_app.extensions["migrate"]
url = current_app.config["MIGRATION_DATABASE_URL"]


def configure(**options):
    """Tell Alembic what the models say."""
    context.configure(target_metadata=migrate.db.metadata, **migrate.configure_args, **options)


def run_offline():
    """Print the SQL (`flask db upgrade --sql`) without a connection."""
    configure(url=url.render_as_string(hide_password=False), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    """Apply the migrations, all or none on Postgres."""
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        configure(connection=connection)
        with context.begin_transaction():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
