"""Append the request id to each SQL statement: pg_stat_activity and lock waits then show the request.

The comment affects neither plans nor pooling: psycopg2 prepares nothing, SQLAlchemy's cache holds the statement without
it, and pg_stat_statements ignores comments. The driver's cursor appends it, because a listener to SQLAlchemy's events
makes each statement a tenth slower. SQLite caches prepared statements by their text, so it gets no comments.
"""

import re
from typing import Any

from flask import g, has_app_context
from psycopg2 import extensions

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")  # contains nothing that ends a comment


class CommentingCursor(extensions.cursor):  # type: ignore[misc]  # psycopg2 has no annotations
    """A cursor that appends the request id to each statement."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        """Execute a statement."""
        super().execute(add_request_id(query), parameters)

    def executemany(self, query: Any, parameters: Any) -> None:
        """Execute a statement for each set of parameters."""
        super().executemany(add_request_id(query), parameters)


def add_request_id(statement: Any) -> Any:
    """Append the request id if it is well formed: any other text could end the comment."""
    request_id = g.get("request_id") if has_app_context() else None
    if not request_id or not isinstance(statement, str) or not REQUEST_ID.fullmatch(request_id):
        return statement
    return f"{statement} /* request_id={request_id} */"
