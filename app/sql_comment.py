"""The request's id at the end of each statement: pg_stat_activity and lock waits then tell which request it is of.

A comment costs neither plan nor pool: psycopg2 prepares nothing, SQLAlchemy's cache has the statement without it, and
pg_stat_statements counts it as the same statement. SQLite keeps prepared statements by their text, so it gets none.
"""

from typing import Any

from flask import g, has_app_context
from sqlalchemy import Engine, event

from app.request_log import WELL_FORMED


def init_engine(engine: Engine) -> None:
    """Mark what this engine sends to Postgres."""
    if engine.dialect.name == "postgresql":
        event.listen(engine, "before_cursor_execute", _mark, retval=True)


def _mark(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """Add the id of the request under way, if it can be nothing but an id: it must not end the comment."""
    request_id = g.get("request_id") if has_app_context() else None
    if not request_id or not WELL_FORMED.fullmatch(request_id):
        return statement, parameters
    return f"{statement} /* request_id={request_id} */", parameters
