"""Redaction of credentials in text, and of user data in database errors."""

import re
import time

import psycopg2
import pytest
import redis
from sqlalchemy.exc import DataError, OperationalError

from app.observability.redaction import describe, format_traceback, redact, summary

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
    f"the token was BEARER {CANARY}",
    f"GET https://api.example/x failed, access_token={CANARY}",
    f"client_secret={CANARY}&grant_type=code",
    f"DB_PASSWORD={CANARY}",
    f"SECRET_KEY = '{CANARY}'",
    f"AWS_SECRET_ACCESS_KEY={CANARY}",
    f"{{'user': 'me', 'password': '{CANARY}'}}",
    f'{{"refresh_token": "{CANARY}", "page": 2}}',
    f"password='two words {CANARY}'",
    f"password='it\\'s {CANARY}'",
    f"{{'HTTP_AUTHORIZATION': 'Basic {CANARY}'}}",
    f"{{'HTTP_COOKIE': 'a=b; session={CANARY}'}}",
    f"[('Host', 'x'), ('Authorization', 'Basic {CANARY}')]",
    f"authorization=Basic {CANARY}",
    f"pwd={CANARY}",
    f"the session eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{CANARY} has ended",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    f"nothing at /reset?{CANARY}",
    f'invalid dsn: missing "=" after "{CANARY}" in connection info string',
]


@pytest.mark.parametrize("text", SECRETS)
def test_secret_is_redacted(text):
    """Credentials in common forms are redacted."""
    assert CANARY not in redact(text)
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/products 200 1.25 ms",
        'connection to server at "127.0.0.1", port 5432 failed: FATAL: password authentication failed for user "app"',
        "Booting worker with pid: 17",
        "Listening at: http://0.0.0.0:8000 (1)",
        "is it there? no: token unknown",
        "a = b",
        "SELECT a FROM b WHERE c = ? AND d / 2 > ?",
        "the token 'deploy' may not write: 403",
        "3 tokens, 2 of them expired: create new ones",
        "/orders/12: status='paid', total=3",
    ],
)
def test_harmless_text_is_unchanged(text):
    """Text without a secret is unchanged."""
    assert redact(text) == text


def test_statement_error():
    """A statement error has the reason and the SQL, without parameters and DETAIL."""
    error = OperationalError("UPDATE x\n  SET a = %(a)s", {"a": CANARY}, Exception(f"too late\nDETAIL: {CANARY}"))
    assert describe(error) == "too late [SQL: UPDATE x SET a = %(a)s]"


def test_connection_error():
    """A connection error has its reason."""
    assert describe(psycopg2.OperationalError("no route to host\nIs the server running?")) == "no route to host"


def test_redis_error():
    """The command and its arguments, which redis-py quotes, are removed."""
    error = redis.ResponseError(f"Command # 1 (SET key {CANARY}) of pipeline caused error: OOM command not allowed")
    assert describe(error) == "OOM command not allowed"
    error = redis.ResponseError(f"unknown command 'X', with args beginning with: '{CANARY}'")
    assert describe(error) == "unknown command 'X'"


def test_traceback_has_causes():
    """A traceback has its causes, oldest first, each redacted."""
    try:
        try:
            raise DataError("SELECT 1", {}, Exception(f"bad\n{CANARY}"))  # noqa: TRY301
        except DataError as error:
            raise RuntimeError(f"no mail to https://me:{CANARY}@mail.example") from error
    except RuntimeError as error:
        text = format_traceback(error)
    assert CANARY not in text
    assert text.index("DataError: bad [SQL: SELECT 1]") < text.index("RuntimeError: no mail to https://[redacted]@mail")
    assert text.count("Traceback") == 2
    assert "test_redaction.py" in text


def test_exception_group():
    """A group has the tracebacks of its members."""
    try:
        raise ValueError("a") from KeyError("why")  # noqa: TRY301
    except ValueError as error:
        text = summary(ExceptionGroup("both", [error, ValueError(f"x://a:{CANARY}@b")]))
    assert re.sub(r"(?m)^  File .*\n(    .*\n)+", "", text) == (
        "ExceptionGroup: both (2 sub-exceptions)"
        "\n  and Traceback (most recent call last):\nKeyError: 'why'"
        "\nTraceback (most recent call last):\nValueError: a"
        "\n  and Traceback (most recent call last):\nValueError: x://[redacted]@b"
    )


def test_exceptions_attribute_without_group():
    """An `exceptions` attribute of any other exception is ignored."""
    error = RuntimeError("many")
    error.exceptions = [1]
    assert summary(error) == "RuntimeError: many"


@pytest.mark.parametrize(
    "part", ["token ", "a-", "/a?", "?a", "/x", "/", "eyJ", "x.", "password='", "': ", "x://", "cookie\t", "\\"]
)
def test_redaction_time_is_linear(part):
    """Hostile text takes no more than linear time."""
    for text in (f"'=: r {part * 20_000}", f"{part * (8000 // len(part))}?"):
        started_at = time.process_time()
        redact(text)
        assert time.process_time() - started_at < 0.5


def test_long_text_is_truncated():
    """Long text is truncated before it is searched."""
    text = redact("x" * 9000 + CANARY)
    assert (len(text), text[-1]) == (8193, "…")


def test_circular_causes():
    """Exceptions that cause each other appear once each."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert format_traceback(one).count("Traceback") == 2
