"""Report database errors of commands without a traceback."""

import functools
from collections.abc import Callable
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from app.db.circuit_breaker import CircuitOpenError
from app.db.session import DatabaseUnavailableError


def report_database_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Exit with one line and a remedy if the database fails."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except (DatabaseUnavailableError, CircuitOpenError) as error:
            raise click.ClickException(f"the database is unavailable ({error}); is DATABASE_URL correct?") from error
        except DBAPIError as error:
            reason = str(error.orig).partition("\n")[0]
            raise click.ClickException(f"{reason}; to create the schema: flask db upgrade") from error

    return run
