"""flask token: create, list and revoke API tokens."""

import re
from datetime import datetime, timedelta

import click
from flask.cli import with_appcontext

from app.auth import SCOPES
from app.cli.database_errors import report_database_errors
from app.services import tokens

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Lifetime(click.ParamType[timedelta]):
    """A duration such as 30m, 12h, 90d or 52w."""

    name = "lifetime"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse the duration."""
        if not (match := re.fullmatch(r"([1-9]\d{0,3})([mhdw])", value)):
            self.fail(f"{value!r} is not a lifetime. Examples: 30m, 12h, 90d, 52w.", param, ctx)
        return timedelta(**{UNITS[match[2]]: int(match[1])})


@click.group()
def token() -> None:
    """Create, list and revoke API tokens."""


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(sorted(SCOPES)),
    help="A permission of the token; repeat it for several.",
)
@click.option("--expires-in", type=Lifetime(), default="90d", show_default=True, help="30m, 12h, 90d, 52w.")
@with_appcontext
@report_database_errors
def create(name: str, scopes: tuple[str, ...], expires_in: timedelta) -> None:
    """Create the token NAME and print its secret, which cannot be shown again."""
    if not re.fullmatch(r"[\w.@-]{1,100}", name):
        raise click.BadParameter("use 1 to 100 letters, digits, dots, hyphens, underscores or @", param_hint="NAME")
    try:
        click.echo(tokens.create(name, scopes, expires_in))
    except tokens.NameTakenError:
        raise click.ClickException(f"the token {name!r} exists; revoke it first, or use another name") from None


@token.command("list")
@with_appcontext
@report_database_errors
def list_() -> None:
    """List the tokens' names, scopes, expiry and last use, never the tokens themselves."""
    rows = [("NAME", "SCOPES", "EXPIRES", "LAST USED")]
    rows += [(row.name, row.scopes, _format(row.expires_at), _format(row.last_used_at)) for row in tokens.list_all()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@token.command()
@click.argument("name")
@with_appcontext
@report_database_errors
def revoke(name: str) -> None:
    """Delete the token NAME; later requests with it are rejected."""
    if not tokens.revoke(name):
        raise click.ClickException(f"there is no token {name!r}; `flask token list` shows all")
    click.echo(f"Revoked {name}.")


def _format(time: datetime | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M") if time else "never"
