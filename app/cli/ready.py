"""flask ready: whether this release would serve requests from the backends that it is configured for."""

import click
from flask import current_app
from flask.cli import with_appcontext

from app.observability import probes


@click.command()
@with_appcontext
def ready() -> None:
    """Print what /health/ready would say; fails where that would be 503."""
    readiness = probes.check_readiness(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    for name, word in readiness.checks.items():
        click.echo(f"{name}: {word}")
    if not readiness.is_ready:
        raise click.ClickException(readiness.status)
