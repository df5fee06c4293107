"""The commands `flask check-production`, `ready`, `schema`, `seed` and `token`."""

from flask import Flask

from app.cli import check_production, ready, schema, seed, token


def init_app(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(check_production.check_production)
    app.cli.add_command(ready.ready)
    app.cli.add_command(schema.schema)
    app.cli.add_command(seed.seed)
    app.cli.add_command(token.token)
