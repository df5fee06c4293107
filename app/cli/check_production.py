"""flask check-production: whether this server is fit for production."""

import json
from dataclasses import asdict

import click


@click.command("check-production")
@click.option("--json", "as_json", is_flag=True, help="For machines: a list of objects check, state, reason, remedy.")
@click.option("--strict", is_flag=True, help="Exit with 1 for a warning too.")
@click.option("--before-migrating", is_flag=True, help="As a deploy looks: pending migrations are about to be applied.")
@click.pass_context
def check_production(context: click.Context, *, as_json: bool, strict: bool, before_migrating: bool) -> None:
    """Check that this server is fit for production: a line for each check, with what was seen, and the remedy.

    It reads the application's settings and asks its servers. Exits with 1 if a check fails.
    """
    from app.checks import run  # noqa: PLC0415 - what serves requests does without all of it
    from app.checks.production import Production  # noqa: PLC0415 - likewise

    found = run.findings(Production(before_migrating=before_migrating))
    click.echo(json.dumps([asdict(each) for each in found]) if as_json else "\n".join(map(str, found)))
    context.exit(run.code(found, strict=strict))
