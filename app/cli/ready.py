"""flask ready: report whether this release can serve requests with its configured backends."""

import click
from flask.cli import ScriptInfo, with_appcontext

from app.observability import probes


@click.command()
@click.pass_context
@with_appcontext
def ready(context: click.Context) -> None:
    """Print the state of each backend; exit with 1 if /health/ready would return 503."""
    readiness = probes.check_readiness(context.ensure_object(ScriptInfo).load_app())
    for name, state in readiness.checks.items():
        click.echo(f"{name}: {state}")
    if not readiness.is_ready:
        raise click.ClickException(readiness.status)
