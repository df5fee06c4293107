"""flask seed: insert sample products, up to millions."""

import click
from flask import current_app
from flask.cli import with_appcontext

from app.cache import current_cache
from app.cli.database_errors import report_database_errors
from app.services import samples


@click.command()
@click.option(
    "--products",
    "total",
    type=click.IntRange(1, 10_000_000),
    default=100,
    show_default=True,
    help="The total number of sample products.",
)
@click.option("--force", is_flag=True, help="Run in production too.")
@with_appcontext
@report_database_errors
def seed(total: int, *, force: bool) -> None:
    """Insert sample products until the catalogue contains the requested number of them.

    Existing products do not change; the samples are always the same.
    """
    if current_app.config["ENVIRONMENT"] == "production" and not force:
        raise click.ClickException("this is production, where users would see the samples; use --force to continue")
    missing = range(samples.highest_number() + 1, total + 1)
    with click.progressbar(length=len(missing), label="Seeding products") as bar:
        for added in samples.insert_all(missing):
            bar.update(added)
    if missing:
        samples.analyze()
        current_cache().invalidate(["products"])
    click.echo(f"Inserted {len(missing)} of {total} sample products.")
