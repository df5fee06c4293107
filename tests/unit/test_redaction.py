"""What others say is told without credentials, and a database's error without what a user sent."""

import psycopg2
import pytest
import redis
from sqlalchemy.exc import DataError, OperationalError

from app.redaction import describe, headline, redact, story

CANARY = "hunter2-canary"

SECRETS = [
    f"cannot use postgresql://app:{CANARY}@db:5432/app",
    f"redis://:{CANARY}@cache and redis://user:pass/{CANARY}@cache:6379/0 too",
    f"Error handling request GET /reset?token={CANARY}&page=2",
    f"Invalid HTTP request line: 'GET /reset?a=1&b={CANARY} HTTP/1.1'",
    f"Authorization: Bearer {CANARY}",
    f"header 'authorization': 'Basic {CANARY}'",
    f"Cookie: a=b; session={CANARY}",
    f"X-Api-Key: {CANARY}",
    f"dsn: host=db password={CANARY} user=app",
    f"the token was bearer {CANARY}",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secret(text):
    """No credential of a usual form is left, wherever it stands."""
    assert CANARY not in redact(text)
    assert "[hidden]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/products 200 1.25 ms",
        'connection to server at "127.0.0.1", port 5432 failed: FATAL: password authentication failed for user "app"',
        "Booting worker with pid: 17",
        "Listening at: http://0.0.0.0:8000 (1)",
        "is it away? no: token unknown",
        "a = b",
    ],
)
def test_harmless(text):
    """What holds no secret stays as it is."""
    assert redact(text) == text


def test_statement_error():
    """A statement's error has its reason and its text, and neither parameters nor the driver's quotes."""
    error = OperationalError("UPDATE x\n  SET a = %(a)s", {"a": CANARY}, Exception(f"too late\nDETAIL: {CANARY}"))
    assert describe(error) == "too late [SQL: UPDATE x SET a = %(a)s]"


def test_connection_error():
    """Why no connection was made is told."""
    assert describe(psycopg2.OperationalError("no route to host\nIs the server running?")) == "no route to host"


def test_redis_pipeline():
    """redis-py quotes the command of a pipeline that failed, with its values."""
    error = redis.ResponseError(f"Command # 1 (SET key {CANARY}) of pipeline caused error: OOM command not allowed")
    assert describe(error) == "OOM command not allowed"
    error = redis.ResponseError(f"unknown command 'X', with args beginning with: '{CANARY}'")
    assert describe(error) == "unknown command 'X'"


def test_story():
    """A story has the exceptions that led to it, oldest first, each as discreet as the last."""
    try:
        try:
            raise DataError("SELECT 1", {}, Exception(f"bad\n{CANARY}"))  # noqa: TRY301
        except DataError as error:
            raise RuntimeError(f"no mail to https://me:{CANARY}@mail.example") from error
    except RuntimeError as error:
        told = story(error)
    assert CANARY not in told
    assert told.index("DataError: bad [SQL: SELECT 1]") < told.index("RuntimeError: no mail to https://[hidden]@mail")
    assert told.count("Traceback") == 2
    assert "test_redaction.py" in told


def test_group():
    """A group of exceptions is told with its members."""
    told = headline(ExceptionGroup("both", [ValueError("a"), ValueError(f"x://a:{CANARY}@b")]))
    assert told == "ExceptionGroup: both (2 sub-exceptions)\n  and ValueError: a\n  and ValueError: x://[hidden]@b"


def test_circle():
    """Exceptions that name each other as their cause have an end."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert story(one).count("Traceback") == 2
