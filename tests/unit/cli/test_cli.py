"""Commands validate their arguments and report errors in one line."""

from datetime import timedelta

import click
import pytest
from sqlalchemy.exc import OperationalError

from app.cli.database_errors import report_database_errors
from app.cli.token import Lifetime
from app.db.circuit_breaker import CircuitOpenError
from app.db.session import DatabaseUnavailableError

LIFETIMES = {"30m": timedelta(minutes=30), "12h": timedelta(hours=12), "90d": timedelta(days=90)}
LIFETIMES |= {"52w": timedelta(weeks=52), "9999w": timedelta(weeks=9999)}


@pytest.mark.parametrize(("text", "expected"), LIFETIMES.items())
def test_lifetime(text, expected):
    """A lifetime is a number and a unit."""
    assert Lifetime().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5d", "1y", "1 d", "1d\n", "10000d", "٣d", "forever"])
def test_invalid_lifetime(text):
    """An invalid lifetime is rejected with examples of valid ones."""
    with pytest.raises(click.BadParameter, match="is not a lifetime"):
        Lifetime().convert(text, None, None)


@pytest.mark.parametrize("error", [DatabaseUnavailableError("refused"), CircuitOpenError()])
def test_database_unavailable(error):
    """Without its database a command ends with one line instead of a traceback."""

    @report_database_errors
    def command():
        raise error

    with pytest.raises(click.ClickException, match="the database is unavailable"):
        command()


def test_schema_missing():
    """The message about a missing table contains the remedy."""

    @report_database_errors
    def command():
        raise OperationalError("SELECT secret", {}, Exception("no such table: products\nmore"))

    with pytest.raises(click.ClickException) as caught:
        command()
    assert caught.value.message.startswith("no such table: products; ")
    assert "flask db upgrade" in caught.value.message
    assert "SELECT" not in caught.value.message


def test_arguments_and_result_are_unchanged():
    """The decorator does not change the arguments or result of a command."""
    assert report_database_errors(lambda *arguments, **options: (arguments, options))(1, a=2) == ((1,), {"a": 2})


@pytest.mark.parametrize("name", ["", "two words", "line\nbreak", "x" * 101, "a/b"])
def test_token_name(shared_app, name):
    """A name with characters outside the allowed set is rejected."""
    result = shared_app.test_cli_runner().invoke(args=["token", "create", name, "--scope", "products"])
    assert result.exit_code == 2
    assert "use 1 to 100 letters" in result.output


def test_token_scope(shared_app):
    """An unknown scope is rejected; the message lists the valid ones."""
    result = shared_app.test_cli_runner().invoke(args=["token", "create", "shop", "--scope", "all"])
    assert result.exit_code == 2
    assert "products" in result.output


def test_seed_refuses_production(app):
    """`flask seed` refuses production without --force."""
    app.config["ENVIRONMENT"] = "production"
    result = app.test_cli_runner().invoke(args=["seed"])
    assert result.exit_code == 1
    assert "--force" in result.output


@pytest.mark.parametrize("command", ["seed", "token"])
def test_help(shared_app, command):
    """Each command has a help text."""
    result = shared_app.test_cli_runner().invoke(args=[command, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()[2].strip()) > 20
