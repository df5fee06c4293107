"""The comment that tells of which request a statement is."""

import pytest
from flask import g

from app import sql_comment


def marked(app, request_id, statement="SELECT 1"):
    """Return the statement as it is sent in a request with this id."""
    with app.app_context():
        g.request_id = request_id
        return sql_comment._mark(None, None, statement, (), None, False)[0]  # noqa: FBT003 - SQLAlchemy's own arguments


def test_marked(app):
    """A statement ends with its request's id."""
    assert marked(app, "0123456789abcdef") == "SELECT 1 /* request_id=0123456789abcdef */"


@pytest.mark.parametrize("request_id", [None, "", "short", "a*/; DROP TABLE x; --", "a%sbcdefgh", "a\nbcdefgh"])
def test_not_an_id(app, request_id):
    """What could be more than an id stays out of the statement."""
    assert marked(app, request_id) == "SELECT 1"


def test_outside_of_a_request():
    """Without a request, as in a command, statements stay as they are."""
    assert sql_comment._mark(None, None, "SELECT 1", {"a": 1}) == ("SELECT 1", {"a": 1})
