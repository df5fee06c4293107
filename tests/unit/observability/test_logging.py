"""The form of a line: one record, one line, nothing lost of what was added to it."""

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
    """Return a record as `log.info(message, extra=…)` makes it, at a fixed time."""
    made = logging.getLogger("shop").makeRecord("shop", logging.INFO, "f.py", 1, message, (), exc_info, extra=extra)
    made.created = 1_800_000_000.25
    return made


def line(**options):
    """Return the JSON line of a record."""
    return json.loads(JSONFormatter("r1").format(record(**options)))


def raised(text):
    """Return what sys.exc_info says of an exception with this text."""
    return (RuntimeError, RuntimeError(text), None)


def test_json():
    """A line says when, how bad, who, what, for which request, and by which release."""
    assert line() == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "INFO",
        "logger": "shop",
        "message": "hello",
        "request_id": None,
        "release": "r1",
    }


@given(seconds=st.floats(0, 4e9))
def test_time(seconds):
    """A time is RFC 3339 with milliseconds and offset, in UTC."""
    made = record()
    made.created = seconds
    text = json.loads(JSONFormatter("r1").format(made))["time"]
    moment = datetime.fromisoformat(text)
    assert (len(text), moment.utcoffset()) == (len("2027-01-15T08:00:00.250+00:00"), timedelta(0))
    assert abs(moment.timestamp() - seconds) < 0.002


def test_extras():
    """What was added to a record is in its line, whatever its type."""
    added = {"price": Decimal("1.5"), "at": datetime(2026, 1, 1, tzinfo=UTC), "tags": {"a": [1]}, "none": None}
    assert line(**added).items() >= {"price": "1.5", "at": "2026-01-01 00:00:00+00:00", "none": None}.items()
    assert line(**added)["tags"] == {"a": [1]}


def test_extras_without_secrets():
    """What was added is told without secrets, given away by a name or a text; a request's path stays whole."""
    added = {"password": "canary", "url": "redis://:canary@cache", "all": {"api_key": "canary", "list": ["?a=canary"]}}
    added["pair"], added["keys"] = ["redis://:canary@cache", "x"], {"redis://:canary@cache": 1}
    added["headers"] = [("Authorization", "canary"), ["x-api-key", "canary"]]
    assert "canary" not in str(line(**added))
    assert line(path="/a?b=c", token="deploy", **added).items() >= {"path": "/a?b=c", "token": "deploy"}.items()


@pytest.mark.parametrize("name", ["time", "level", "logger", "request_id", "release"])
def test_extras_replace_nothing(name):
    """What was added under the name of a field that each line has is told beside it."""
    assert line(**{name: "forged"}) == line() | {f"extra_{name}": "forged"}


def circle():
    """Return a list that is in itself."""
    made = [math.nan]
    made.append(made)
    return made


class Untold:
    """Says nothing of itself."""

    def __str__(self):
        """Fail."""
        raise RuntimeError("canary")


class Changing(dict):
    """A mapping that another thread changes."""

    def items(self):
        """Fail, as a dictionary does then."""
        raise RuntimeError("dictionary changed size during iteration")


@pytest.mark.parametrize(
    "value",
    [Changing(), math.nan, -math.inf, circle(), {1: {(2, 3): math.inf}}, Untold(), b"\xff", {Untold()}, [10**5000]],
)
def test_extras_that_json_does_not_know(value):
    """Whatever was added, the line is JSON as every reader knows it, and says something of it."""
    written = JSONFormatter("r1").format(record(added=value))
    assert json.loads(written, parse_constant=pytest.fail)["added"] is not None
    assert "canary" not in written


@pytest.mark.parametrize("formatter", [JSONFormatter("r1"), TextFormatter()])
@pytest.mark.parametrize(("text", "arguments"), [("%d done", ("canary",)), ("%s done", ()), ("%s", (Untold(),))])
def test_arguments_that_do_not_fit(formatter, text, arguments):
    """Arguments that do not fit cost the line its arguments alone, which nobody tells elsewhere either."""
    made = record(text)
    made.args = arguments
    written = formatter.format(made)
    assert text in written
    assert "canary" not in written


def test_what_nobody_handled(logged, capsys):
    """In production what ends a thread is a line, and what ends a command is printed, each without what it quotes."""
    create_app("production", PRODUCTION)
    log = logged()

    def fail():
        raise RuntimeError("x://a:canary@b")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    (line,) = log.records
    assert line["message"] == "unhandled RuntimeError"
    assert line["exception"].endswith("\nRuntimeError: x://[hidden]@b")
    capsys.readouterr()
    sys.excepthook(*raised("x://a:canary@b"))
    assert capsys.readouterr().err == "Traceback (most recent call last):\nRuntimeError: x://[hidden]@b\n"
    assert logging.raiseExceptions is False


@given(text=st.text(st.characters()))
def test_one_line(text):
    """Whatever is logged, it is one line of ASCII that reads back as it was."""
    assume(redact(text) == text)
    written = JSONFormatter("r1").format(record(message=text.replace("%", ""), extra_text=text))
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["extra_text"] == text


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_has_no_control_characters(text):
    """In the form for people too, what a client sent neither begins a line nor moves the cursor."""
    written = TextFormatter().format(record(message=text.replace("%", "")))
    assert not [character for character in written if ord(character) < 32 or 127 <= ord(character) < 160]


def test_exception():
    """An exception's traceback belongs to its record's line."""
    assert line(exc_info=raised("a\nb"))["exception"].endswith("RuntimeError: a\nb")


def test_exception_in_text_begins_no_line():
    """In the form for people too: what an exception says cannot look like a line of its own, nor move the cursor."""
    first, *others = TextFormatter().format(record(exc_info=raised("a\n10:00:00 INFO    forged\r\x1b[2K"))).split("\n")
    assert first.endswith("hello")
    assert others[-1] == "    10:00:00 INFO    forged\\x0d\\x1b[2K"
    assert all(other.startswith("    ") for other in others)


def test_trace_id(app):
    """Where a request's trace has another id, its lines have that too."""
    with app.test_request_context():
        app.preprocess_request()
        assert "trace_id" not in line()
        g.trace_id = "0af7651916cd43dd8448eb211c80319c"
        assert line()["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_request_id(app):
    """A line logged in a request has its id; in the form for people its beginning is at the end."""
    with app.test_request_context():
        app.preprocess_request()
        (request_id, text) = line()["request_id"], TextFormatter().format(record())
    assert len(request_id) == 32
    assert text.endswith(f"INFO    hello  [{request_id[:8]}]")


def test_text_without_a_request():
    """Outside of a request there is no id to end the line with."""
    assert TextFormatter().format(record()).endswith("INFO    hello")


def test_file_size():
    """A file has ten mebibytes, which is enough to look back and too little to fill a disk."""
    file = dict_config("INFO", "json", "/var/log/app.log")["handlers"]["file"]
    assert (file["max_bytes"], file["kept"]) == (10_485_760, 5)


def test_no_file_by_default():
    """In a container the standard error is the log, and no file grows in it."""
    assert list(dict_config("INFO", "json")["handlers"]) == ["stream"]


def test_level(make_app, logged):
    """Below LOG_LEVEL nothing is written, by no logger of the process."""
    make_app(LOG_LEVEL="ERROR")
    log = logged()
    logging.getLogger("any.library").warning("no")
    logging.getLogger("any.library").error("yes")
    assert [line["message"] for line in log.records] == ["yes"]


def test_format_is_chosen(make_app):
    """LOG_FORMAT decides about the form."""
    make_app(LOG_FORMAT="text")
    assert isinstance(logging.getLogger().handlers[0].formatter, TextFormatter)
    make_app(LOG_FORMAT="json", RELEASE="abc")
    assert logging.getLogger().handlers[0].formatter.release == "abc"


def test_gunicorn_and_the_application_agree(make_app):
    """Gunicorn's lines go the same way, once."""
    make_app()
    gunicorn = logging.getLogger("gunicorn.error")
    assert (gunicorn.handlers, gunicorn.propagate) == ([], True)
