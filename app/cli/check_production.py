"""flask check-production."""

import json
from dataclasses import asdict

import click


@click.command("check-production")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects with check, state, reason and remedy.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--before-migrating", is_flag=True, help="Accept pending migrations, which a deploy applies next.")
@click.pass_context
def check_production(context: click.Context, *, as_json: bool, strict: bool, before_migrating: bool) -> None:
    """Check whether the settings and backends are fit for production; exit with 1 if a check fails."""
    from app.checks import run  # noqa: PLC0415 - processes that serve requests do not need it
    from app.checks.context import CheckContext  # noqa: PLC0415 - likewise

    findings = run.run_checks(CheckContext(before_migrating=before_migrating))
    click.echo(json.dumps([asdict(finding) for finding in findings]) if as_json else "\n".join(map(str, findings)))
    context.exit(run.exit_code(findings, strict=strict))
