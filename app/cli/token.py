"""flask token: make, list and revoke API tokens."""

import re
from datetime import datetime, timedelta

import click
from flask.cli import with_appcontext

from app.auth import SCOPES
from app.cli.guard import needs_database
from app.services import tokens

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Lifetime(click.ParamType[timedelta]):
    """A number and a unit: 30m, 12h, 90d, 52w."""

    name = "lifetime"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time that the text means."""
        if not (match := re.fullmatch(r"([1-9]\d{0,3})([mhdw])", value)):
            self.fail(f"{value!r} is not a lifetime. Examples: 30m, 12h, 90d, 52w.", param, ctx)
        return timedelta(**{UNITS[match[2]]: int(match[1])})


@click.group()
def token() -> None:
    """Make, list and revoke API tokens."""


@token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(sorted(SCOPES)),
    help="What the token may do; give it again for more.",
)
@click.option("--expires-in", type=Lifetime(), default="90d", show_default=True, help="30m, 12h, 90d, 52w.")
@with_appcontext
@needs_database
def create(name: str, scopes: tuple[str, ...], expires_in: timedelta) -> None:
    """Make a token called NAME and print it: the only time it can be seen."""
    if not re.fullmatch(r"[\w.@-]{1,100}", name):
        raise click.BadParameter("use 1 to 100 letters, digits, dots, hyphens, underscores or @", param_hint="NAME")
    try:
        click.echo(tokens.create(name, scopes, expires_in))
    except tokens.NameTakenError:
        raise click.ClickException(f"there is a token called {name!r}; revoke it first, or take another name") from None


@token.command("list")
@with_appcontext
@needs_database
def list_() -> None:
    """List the tokens: name, scopes, when each expires and was last used. Never the tokens themselves."""
    rows = [("NAME", "SCOPES", "EXPIRES", "LAST USED")]
    rows += [(row.name, row.scopes, _day(row.expires_at), _day(row.last_used_at)) for row in tokens.list_all()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@token.command()
@click.argument("name")
@with_appcontext
@needs_database
def revoke(name: str) -> None:
    """Delete the token called NAME; it is refused from the next request on."""
    if not tokens.revoke(name):
        raise click.ClickException(f"there is no token called {name!r}; `flask token list` shows all")
    click.echo(f"Revoked {name}.")


def _day(time: datetime | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M") if time else "never"
