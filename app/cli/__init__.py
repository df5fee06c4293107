"""Commands: `flask schema …`, `flask seed`, `flask token …`, beside Flask's own `flask db …` and `flask routes`."""

from flask import Flask

from app.cli import schema, seed, token


def init_app(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(schema.schema)
    app.cli.add_command(seed.seed)
    app.cli.add_command(token.token)
