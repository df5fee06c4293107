"""The comment that tells of which request a statement is."""

import pytest
from flask import g

from app.db.sql_comments import marked


@pytest.fixture
def in_request(app):
    """Return a function that marks a statement in a request with this id."""

    def mark(request_id):
        with app.app_context():
            g.request_id = request_id
            return marked("SELECT 1")

    return mark


def test_marked(in_request):
    """A statement ends with its request's id."""
    assert in_request("0123456789abcdef") == "SELECT 1 /* request_id=0123456789abcdef */"


@pytest.mark.parametrize("request_id", [None, "", "short", "a*/; DROP TABLE x; --", "a%sbcdefgh", "a\nbcdefgh"])
def test_not_an_id(in_request, request_id):
    """What could be more than an id stays out of the statement."""
    assert in_request(request_id) == "SELECT 1"


def test_outside_of_a_request():
    """Without a request, as in a command, statements stay as they are."""
    assert marked("SELECT 1") == "SELECT 1"
