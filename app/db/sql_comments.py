"""The request's id at the end of each statement: pg_stat_activity and lock waits then tell which request it is of.

A comment costs neither plan nor pool: psycopg2 prepares nothing, SQLAlchemy's cache has the statement without it, and
pg_stat_statements counts it as the same statement. It is put there by the driver's cursor; any listener to SQLAlchemy's
events would make each statement a tenth dearer. SQLite keeps prepared statements by their text, and so gets none.
"""

from typing import Any

from flask import g, has_app_context
from psycopg2 import extensions

from app.http.access_log import WELL_FORMED


class MarkedCursor(extensions.cursor):  # type: ignore[misc]  # psycopg2 has no annotations
    """Says with each statement which request it is of."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        """Send a statement."""
        super().execute(marked(query), parameters)

    def executemany(self, query: Any, parameters: Any) -> None:
        """Send a statement for each set of parameters."""
        super().executemany(marked(query), parameters)


def marked(statement: Any) -> Any:
    """Add the id of the request under way, if it can be nothing but an id: it must not end the comment."""
    request_id = g.get("request_id") if has_app_context() else None
    if not request_id or not isinstance(statement, str) or not WELL_FORMED.fullmatch(request_id):
        return statement
    return f"{statement} /* request_id={request_id} */"
