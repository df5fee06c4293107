"""SQL comments with the request id."""

import pytest
from flask import g

from app.db.sql_comments import add_request_id


@pytest.fixture
def comment_with(app):
    """Return a function that comments a statement in a request with the given id."""

    def comment(request_id):
        with app.app_context():
            g.request_id = request_id
            return add_request_id("SELECT 1")

    return comment


def test_statement_ends_with_request_id(comment_with):
    """A statement ends with the id of its request."""
    assert comment_with("0123456789abcdef") == "SELECT 1 /* request_id=0123456789abcdef */"


@pytest.mark.parametrize("request_id", [None, "", "short", "a*/; DROP TABLE x; --", "a%sbcdefgh", "a\nbcdefgh"])
def test_malformed_id_is_ignored(comment_with, request_id):
    """Text that could end the comment stays out of the statement."""
    assert comment_with(request_id) == "SELECT 1"


def test_statement_outside_request_is_unchanged():
    """Statements of a command have no comment."""
    assert add_request_id("SELECT 1") == "SELECT 1"
