"""What no log and no event may tell: credentials in a text, and the values of a statement in a database's error.

Whoever logs leaves secrets out; this is for what others say, such as a driver that quotes what it could not use.
"""

import math
import re
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg2
import redis
from sqlalchemy.exc import StatementError

HIDDEN = "[hidden]"
_KEYS = r"(?:api|access|private|signing|secret)[-_]?key"
_NAMES = rf"((?:password|passwd|pwd|passphrase|{_KEYS}|secret|token|credential)s?)"
_HEADERS = r"(authorization|cookie|x[-_]api[-_]key)"
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&]+)"""
NAMED = re.compile(rf"(?i){_NAMES}$|{_HEADERS}$")
# Each with what marks its presence: looking for that is a tenth of what trying the pattern costs.
PATTERNS = (
    (("://",), re.compile(r"(?<!\S)(?>(\S*?://))\S+@"), rf"\1{HIDDEN}@"),
    (("?",), re.compile(r"(/[^\s\"'<>?/]*+\?)[^\s\"'<>]+|(\?)[^\s\"'<>?=]*+=[^\s\"'<>]*"), rf"\1\2{HIDDEN}"),
    (("=",), re.compile(rf"(?is){_NAMES}(['\"]?\s*=\s*){_VALUE}"), rf"\1\2{HIDDEN}"),
    (("':", '":'), re.compile(rf"(?is){_NAMES}(['\"]\s*:\s*){_VALUE}"), rf"\1\2{HIDDEN}"),
    ((":", "=", "',", '",'), re.compile(rf"(?i){_HEADERS}(['\"]?\s*[:=]\s*|['\"]\s*,\s*).*"), rf"\1\2{HIDDEN}"),
    # Gunicorn, of what is not HTTP: in any place of it there may be anything.
    (("Invalid request from",), re.compile(r"(?s)(Invalid request from \S+ [^:]*: ).+"), rf"\1{HIDDEN}"),
    (("No more data after",), re.compile(r"(?s)(No more data after: ).+"), rf"\1{HIDDEN}"),
    (('missing "="',), re.compile(r"(?s)(missing \"=\" after ).+"), rf"\1{HIDDEN}"),  # libpq, of half a password
    (("eyJ",), re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # a JSON Web Token
    (("PRIVATE KEY-",), re.compile(r"(?s)(PRIVATE KEY-----).*"), rf"\1{HIDDEN}"),
    (("r ", "R "), re.compile(r"(?i)\bbearer +\S+"), f"Bearer {HIDDEN}"),
)
# SQLSTATE classes whose messages quote values: data that does not fit a type; what a function raised, in any form.
QUOTING, RAISED = "22", "P0"
QUOTED = re.compile(r'".*"|".*', re.DOTALL)
REDIS_QUOTES = re.compile(r"Command # \d+ .* of pipeline caused error: |,? with args beginning with:.*", re.DOTALL)
STATEMENT_LENGTH = 300
TEXT_LENGTH = 8192  # a client may send more, and what quotes it is searched while others wait to log


def redact(text: str) -> str:
    """Return the text without passwords in URLs, query strings and credentials."""
    if len(text) > TEXT_LENGTH:
        text = f"{text[:TEXT_LENGTH]}…"
    for marks, pattern, replacement in PATTERNS:
        if any(mark in text for mark in marks):
            text = pattern.sub(replacement, text)
    return text


def cleaned(value: Any, name: str = "") -> Any:
    """Return a value as JSON can have it, without secrets; nothing of it where its NAME says that it is one."""
    try:
        return _plain(value, name, 4)
    except Exception as error:  # noqa: BLE001 - such as of a mapping that another thread changes
        return f"{type(value).__name__} ({type(error).__name__})"


def _plain(value: Any, name: str, depth: int) -> Any:
    if name and NAMED.search(name):
        return HIDDEN
    if value is None or (isinstance(value, int) and value.bit_length() < 64):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth and isinstance(value, Mapping):
        return {redact(key := _text(each)): _plain(part, key, depth - 1) for each, part in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
        named = parts[0] if len(parts) == 2 and isinstance(parts[0], str) else ""  # as in a list of headers
        return [_plain(part, named if place else "", depth - 1) for place, part in enumerate(parts)]
    return redact(_text(value))


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is no reason to lose a line
        return f"{type(value).__name__} ({type(error).__name__})"


def describe(error: BaseException) -> str:
    """Return what an exception says, as far as anybody may know it."""
    if isinstance(error, StatementError):
        said = describe(error.orig).partition("\n")[0] if error.orig else type(error).__name__
        return f"{said} [SQL: {' '.join((error.statement or '').split())[:STATEMENT_LENGTH]}]"
    if isinstance(error, psycopg2.Error):
        return redact(_of_postgres(error))
    if isinstance(error, redis.RedisError):
        return redact(REDIS_QUOTES.sub("", _text(error)))
    return redact(_text(error))


def _of_postgres(error: psycopg2.Error) -> str:
    """Return the message alone: DETAIL, CONTEXT and the line of the statement quote what a user sent."""
    code = error.pgcode
    if code is None:
        return str(error).partition("\n")[0]
    message = HIDDEN if code.startswith(RAISED) else error.diag.message_primary or ""
    return f"{QUOTED.sub(HIDDEN, message) if code.startswith(QUOTING) else message} (SQLSTATE {code})"


def story(error: BaseException) -> str:
    """Return the traceback of an exception and of those that led to it, oldest first, as Python prints it."""
    return "\n".join(
        "".join(["Traceback (most recent call last):\n", *traceback.format_tb(link.__traceback__), headline(link)])
        for link in reversed(list(chain(error)))
    )


def headline(error: BaseException) -> str:
    """Return an exception's type and what it says, and for a group the stories of its members."""
    said = f"{type(error).__qualname__}: {describe(error)}"
    return "\n  and ".join([said, *map(story, error.exceptions)]) if isinstance(error, BaseExceptionGroup) else said


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception, then what caused it, and so on."""
    met: set[int] = set()
    while error is not None and id(error) not in met:
        met.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
