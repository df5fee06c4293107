"""flask seed: insert sample products, up to millions."""

import click
from flask import current_app
from flask.cli import with_appcontext

from app.cache import current_cache
from app.cli.guard import needs_database
from app.services import samples


@click.command()
@click.option(
    "--products",
    "wanted",
    type=click.IntRange(1, 10_000_000),
    default=100,
    show_default=True,
    help="The total number of sample products.",
)
@click.option("--force", is_flag=True, help="Run in production too.")
@with_appcontext
@needs_database
def seed(wanted: int, *, force: bool) -> None:
    """Insert sample products until the catalogue has the requested number.

    Existing products are kept; the samples are always the same.
    """
    if current_app.config["ENVIRONMENT"] == "production" and not force:
        raise click.ClickException("this is production, where samples would be for sale; use --force to continue")
    missing = range(samples.highest_number() + 1, wanted + 1)
    with click.progressbar(length=len(missing), label="Seeding products") as bar:
        for added in samples.insert_all(missing):
            bar.update(added)
    if missing:
        samples.analyze()
        current_cache().invalidate(["products"])
    click.echo(f"Inserted {len(missing)} of {wanted} sample products.")
