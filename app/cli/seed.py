"""flask seed: sample products, from a handful to a million."""

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
    help="How many sample products there shall be.",
)
@click.option("--force", is_flag=True, help="Do it in production too.")
@with_appcontext
@needs_database
def seed(wanted: int, *, force: bool) -> None:
    """Fill the catalogue with sample products, up to the number asked for.

    What is there stays: a second run adds only what is missing. The same number always gives the same products.
    """
    if current_app.config["ENVIRONMENT"] == "production" and not force:
        raise click.ClickException("this is production; sample products are for sale there. --force does it anyway")
    missing = range(samples.highest_number() + 1, wanted + 1)
    with click.progressbar(length=len(missing), label="Seeding products") as bar:
        for added in samples.insert_all(missing):
            bar.update(added)
    if missing:
        samples.analyze()
        current_cache().invalidate(["products"])
    click.echo(f"{len(missing)} added, {wanted} wanted.")
