"""Redaction: remove credentials from text, and statement values from database errors.

Code that logs should leave secrets out; this catches what libraries quote, such as a driver's error.
"""

import math
import re
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg2
import redis
from sqlalchemy.exc import StatementError

REDACTED = "[redacted]"
_KEYS = r"(?:api|access|private|signing|secret)[-_]?key"
_NAMES = rf"((?:password|passwd|pwd|passphrase|{_KEYS}|secret|token|credential)s?)"
_HEADERS = r"(authorization|cookie|x[-_]api[-_]key)"
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&]+)"""
SECRET_NAME = re.compile(rf"(?i){_NAMES}$|{_HEADERS}$")
# Each pattern has markers: searching for those costs a tenth of trying the pattern.
PATTERNS = (
    (("://",), re.compile(r"(?<!\S)(?>(\S*?://))\S+@"), rf"\1{REDACTED}@"),
    (("?",), re.compile(r"(/[^\s\"'<>?/]*+\?)[^\s\"'<>]+|(\?)[^\s\"'<>?=]*+=[^\s\"'<>]*"), rf"\1\2{REDACTED}"),
    (("=",), re.compile(rf"(?is){_NAMES}(['\"]?\s*=\s*){_VALUE}"), rf"\1\2{REDACTED}"),
    (("':", '":'), re.compile(rf"(?is){_NAMES}(['\"]\s*:\s*){_VALUE}"), rf"\1\2{REDACTED}"),
    ((":", "=", "',", '",'), re.compile(rf"(?i){_HEADERS}(['\"]?\s*[:=]\s*|['\"]\s*,\s*).*"), rf"\1\2{REDACTED}"),
    # Gunicorn quotes malformed requests, where a secret may be anywhere.
    (("Invalid request from",), re.compile(r"(?s)(Invalid request from \S+ [^:]*: ).+"), rf"\1{REDACTED}"),
    (("No more data after",), re.compile(r"(?s)(No more data after: ).+"), rf"\1{REDACTED}"),
    (
        ('missing "="',),
        re.compile(r"(?s)(missing \"=\" after ).+"),
        rf"\1{REDACTED}",
    ),  # libpq, of a password
    (("eyJ",), re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), REDACTED),  # a JSON Web Token
    (("PRIVATE KEY-",), re.compile(r"(?s)(PRIVATE KEY-----).*"), rf"\1{REDACTED}"),
    (("r ", "R "), re.compile(r"(?i)\bbearer +\S+"), f"Bearer {REDACTED}"),
)
# SQLSTATE classes whose messages contain values: data exceptions, and PL/pgSQL RAISE with free text.
DATA_EXCEPTION, RAISE_EXCEPTION = "22", "P0"
QUOTED_VALUE = re.compile(r'".*"|".*', re.DOTALL)
REDIS_ARGUMENTS = re.compile(r"Command # \d+ .* of pipeline caused error: |,? with args beginning with:.*", re.DOTALL)
MAX_STATEMENT_LENGTH = 300
MAX_TEXT_LENGTH = 8192  # limits the search time of text that a client controls


def redact(text: str) -> str:
    """Return the text without passwords in URLs, query strings and credentials."""
    if len(text) > MAX_TEXT_LENGTH:
        text = f"{text[:MAX_TEXT_LENGTH]}…"
    for markers, pattern, replacement in PATTERNS:
        if any(marker in text for marker in markers):
            text = pattern.sub(replacement, text)
    return text


def sanitize(value: Any, name: str = "") -> Any:
    """Return a JSON-serialisable copy of VALUE without secrets; hide all of it if NAME is that of a secret."""
    try:
        return _sanitize(value, name, 4)
    except Exception as error:  # noqa: BLE001 - for example a mapping that another thread changes
        return f"{type(value).__name__} ({type(error).__name__})"


def _sanitize(value: Any, name: str, depth: int) -> Any:
    if name and SECRET_NAME.search(name):
        return REDACTED
    if value is None or (isinstance(value, int) and value.bit_length() < 64):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth and isinstance(value, Mapping):
        return {redact(key := _text(raw_key)): _sanitize(item, key, depth - 1) for raw_key, item in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        items = list(value)
        header = items[0] if len(items) == 2 and isinstance(items[0], str) else ""  # a (name, value) pair
        return [_sanitize(item, header if index else "", depth - 1) for index, item in enumerate(items)]
    return redact(_text(value))


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - __str__ may raise anything
        return f"{type(value).__name__} ({type(error).__name__})"


def describe(error: BaseException) -> str:
    """Return an exception's message without secrets and values."""
    if isinstance(error, StatementError):
        message = describe(error.orig).partition("\n")[0] if error.orig else type(error).__name__
        return f"{message} [SQL: {' '.join((error.statement or '').split())[:MAX_STATEMENT_LENGTH]}]"
    if isinstance(error, psycopg2.Error):
        return redact(_describe_postgres_error(error))
    if isinstance(error, redis.RedisError):
        return redact(REDIS_ARGUMENTS.sub("", _text(error)))
    return redact(_text(error))


def _describe_postgres_error(error: psycopg2.Error) -> str:
    """Return the primary message: DETAIL, CONTEXT and the quoted statement contain user data."""
    code = error.pgcode
    if code is None:
        return str(error).partition("\n")[0]
    message = REDACTED if code.startswith(RAISE_EXCEPTION) else error.diag.message_primary or ""
    return f"{QUOTED_VALUE.sub(REDACTED, message) if code.startswith(DATA_EXCEPTION) else message} (SQLSTATE {code})"


def format_traceback(error: BaseException) -> str:
    """Return the tracebacks of the exception and its causes, oldest first, as Python prints them."""
    return "\n".join(
        "".join(["Traceback (most recent call last):\n", *traceback.format_tb(link.__traceback__), summary(link)])
        for link in reversed(list(exception_chain(error)))
    )


def summary(error: BaseException) -> str:
    """Return an exception's type and message; for a group also the tracebacks of its members."""
    line = f"{type(error).__qualname__}: {describe(error)}"
    if not isinstance(error, BaseExceptionGroup):
        return line
    return "\n  and ".join([line, *map(format_traceback, error.exceptions)])


def exception_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception, then its cause, and so on."""
    visited: set[int] = set()  # a chain may be circular
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
