"""Log lines: one per record, with every field passed through `extra`."""

import json
import logging
import math
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from flask import g
from hypothesis import assume, given
from hypothesis import strategies as st

from app import create_app
from app.observability.logging import JSONFormatter, TextFormatter, dict_config
from app.observability.redaction import redact

PRODUCTION = {"SECRET_KEY": "a-secret-of-some-length-0123456789-abcdefgh", "DATABASE_URL": "postgresql://db/x"}
PRODUCTION |= {"REDIS_URL": "redis://r", "TRUSTED_HOSTS": "x"}


def record(message="hello", exc_info=None, **extra):
    """Return a record as `log.info(message, extra=…)` creates it, at a fixed time."""
    made = logging.getLogger("shop").makeRecord("shop", logging.INFO, "f.py", 1, message, (), exc_info, extra=extra)
    made.created = 1_800_000_000.25
    return made


def line(**options):
    """Return the parsed JSON line of a record."""
    return json.loads(JSONFormatter("r1").format(record(**options)))


def raised(text):
    """Return the exc_info of an exception with this message."""
    return (RuntimeError, RuntimeError(text), None)


def test_json_line():
    """A line has time, level, logger, message, request id, trace id and release."""
    assert line() == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "INFO",
        "logger": "shop",
        "message": "hello",
        "request_id": None,
        "trace_id": None,
        "release": "r1",
    }


@given(seconds=st.floats(0, 4e9))
def test_time(seconds):
    """The time is RFC 3339 in UTC, with milliseconds and offset."""
    made = record()
    made.created = seconds
    text = json.loads(JSONFormatter("r1").format(made))["time"]
    moment = datetime.fromisoformat(text)
    assert (len(text), moment.utcoffset()) == (len("2027-01-15T08:00:00.250+00:00"), timedelta(0))
    assert abs(moment.timestamp() - seconds) < 0.002


def test_extra_fields():
    """Fields of any type are in the line."""
    added = {"price": Decimal("1.5"), "at": datetime(2026, 1, 1, tzinfo=UTC), "tags": {"a": [1]}, "none": None}
    assert line(**added).items() >= {"price": "1.5", "at": "2026-01-01 00:00:00+00:00", "none": None}.items()
    assert line(**added)["tags"] == {"a": [1]}


def test_extra_fields_are_redacted():
    """Secrets are redacted by field name or by content; the path of a request is not."""
    added = {"password": "canary", "url": "redis://:canary@cache", "all": {"api_key": "canary", "list": ["?a=canary"]}}
    added["pair"], added["keys"] = ["redis://:canary@cache", "x"], {"redis://:canary@cache": 1}
    added["headers"] = [("Authorization", "canary"), ["x-api-key", "canary"]]
    assert "canary" not in str(line(**added))
    assert line(path="/a?b=c", token_name="shop", **added).items() >= {"path": "/a?b=c", "token_name": "shop"}.items()


@pytest.mark.parametrize("name", ["time", "level", "logger", "request_id", "trace_id", "release"])
def test_extra_field_overwrites_nothing(name):
    """A field with the name of a standard field gets a prefix."""
    assert line(**{name: "forged"}) == line() | {f"extra_{name}": "forged"}


def recursive_list():
    """Return a list that contains itself."""
    made = [math.nan]
    made.append(made)
    return made


class Unprintable:
    """An object whose __str__ fails."""

    def __str__(self):
        """Raise."""
        raise RuntimeError("canary")


class Changing(dict):
    """A mapping that another thread changes."""

    def items(self):
        """Raise as a dictionary does then."""
        raise RuntimeError("dictionary changed size during iteration")


@pytest.mark.parametrize(
    "value",
    [
        Changing(),
        math.nan,
        -math.inf,
        recursive_list(),
        {1: {(2, 3): math.inf}},
        Unprintable(),
        b"\xff",
        {Unprintable()},
        [10**5000],
    ],
)
def test_unserialisable_extra_field(value):
    """The line is standard JSON, and has a text for a value that JSON cannot represent."""
    written = JSONFormatter("r1").format(record(added=value))
    assert json.loads(written, parse_constant=pytest.fail)["added"] is not None
    assert "canary" not in written


@pytest.mark.parametrize("formatter", [JSONFormatter("r1"), TextFormatter()])
@pytest.mark.parametrize(("text", "arguments"), [("%d done", ("canary",)), ("%s done", ()), ("%s", (Unprintable(),))])
def test_arguments_that_do_not_fit_are_dropped(formatter, text, arguments):
    """Arguments that do not fit the format are dropped, and printed nowhere else."""
    made = record(text)
    made.args = arguments
    written = formatter.format(made)
    assert text in written
    assert "canary" not in written


def test_uncaught_exceptions_are_redacted(logged, capsys):
    """In production an exception that ends a thread is logged, and one that ends a command printed, redacted."""
    create_app("production", PRODUCTION)
    log = logged()

    def fail():
        raise RuntimeError("x://a:canary@b")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    (line,) = log.records
    assert line["message"] == "unhandled RuntimeError"
    assert line["exception"].endswith("\nRuntimeError: x://[redacted]@b")
    capsys.readouterr()
    sys.excepthook(*raised("x://a:canary@b"))
    assert capsys.readouterr().err == "Traceback (most recent call last):\nRuntimeError: x://[redacted]@b\n"
    assert logging.raiseExceptions is False


@given(text=st.text(st.characters()))
def test_json_line_round_trips(text):
    """Any text is one line of ASCII that parses to the same text."""
    assume(redact(text) == text)
    written = JSONFormatter("r1").format(record(message=text.replace("%", ""), extra_text=text))
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["extra_text"] == text


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_line_has_no_control_characters(text):
    """In the text format a client can neither start a line nor move the cursor."""
    written = TextFormatter().format(record(message=text.replace("%", "")))
    assert not [character for character in written if ord(character) < 32 or 127 <= ord(character) < 160]


def test_exception_field():
    """The traceback is a field of the line."""
    assert line(exc_info=raised("a\nb"))["exception"].endswith("RuntimeError: a\nb")


def test_exception_in_text_forges_no_line():
    """In the text format the message of an exception is indented and escaped."""
    first, *others = TextFormatter().format(record(exc_info=raised("a\n10:00:00 INFO    forged\r\x1b[2K"))).split("\n")
    assert first.endswith("hello")
    assert others[-1] == "    10:00:00 INFO    forged\\x0d\\x1b[2K"
    assert all(other.startswith("    ") for other in others)


def test_trace_id(app):
    """A line logged in a traced request has the trace id."""
    with app.test_request_context():
        app.preprocess_request()
        assert line()["trace_id"] is None
        g.trace_id = "0af7651916cd43dd8448eb211c80319c"
        assert line()["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_request_id(app):
    """A line logged in a request has its id; the text format ends with the first eight characters."""
    with app.test_request_context():
        app.preprocess_request()
        (request_id, text) = line()["request_id"], TextFormatter().format(record())
    assert len(request_id) == 32
    assert text.endswith(f"INFO    hello  [{request_id[:8]}]")


def test_text_outside_request():
    """Outside of a request the text format has no id."""
    assert TextFormatter().format(record()).endswith("INFO    hello")


def test_file_is_optional():
    """Without LOG_TO_FILE standard error is the only log."""
    assert list(dict_config("INFO", "json")["handlers"]) == ["stderr"]
    assert list(dict_config("INFO", "json", "/var/log/app.log")["handlers"]) == ["stderr", "file"]


def test_level(make_app, logged):
    """LOG_LEVEL applies to every logger of the process."""
    make_app(LOG_LEVEL="ERROR")
    log = logged()
    logging.getLogger("any.library").warning("no")
    logging.getLogger("any.library").error("yes")
    assert [line["message"] for line in log.records] == ["yes"]


def test_log_format(make_app):
    """LOG_FORMAT chooses the formatter."""
    make_app(LOG_FORMAT="text")
    assert isinstance(logging.getLogger().handlers[0].formatter, TextFormatter)
    make_app(LOG_FORMAT="json", RELEASE="abc")
    assert logging.getLogger().handlers[0].formatter.release == "abc"


def test_gunicorn_uses_the_same_handlers(make_app):
    """Gunicorn's lines go to the root logger's handlers, once."""
    make_app()
    gunicorn = logging.getLogger("gunicorn.error")
    assert (gunicorn.handlers, gunicorn.propagate) == ([], True)
