"""The form of a line: one record, one line, nothing lost of what was added to it."""

import json
import logging
import logging.config
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import logging_config
from app.logging_config import JSONFormatter, TextFormatter, dict_config


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


@given(text=st.text(st.characters()))
def test_one_line(text):
    """Whatever is logged, it is one line of ASCII that reads back as it was."""
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


@pytest.fixture
def configure():
    """Return a function that configures logging; what it opened is closed again."""

    def run(**options):
        logging.config.dictConfig(dict_config("INFO", "json", **options))

    yield run
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()


def test_file_rotates(configure, tmp_path, monkeypatch):
    """LOG_TO_FILE is written to and, when it is full, begun anew; five old ones are kept."""
    monkeypatch.setattr(logging_config, "FILE_BYTES", 300)
    configure(path=str(tmp_path / "app.log"))
    for number in range(30):
        logging.getLogger("shop").info("line %d", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["app.log", *(f"app.log.{number}" for number in range(1, 6))]
    assert all(path.stat().st_size <= 300 for path in tmp_path.iterdir())
    assert json.loads((tmp_path / "app.log").read_text().splitlines()[-1])["message"] == "line 29"


def test_file_size():
    """A file has ten mebibytes, which is enough to look back and too little to fill a disk."""
    file = dict_config("INFO", "json", "/var/log/app.log")["handlers"]["file"]
    assert (file["maxBytes"], file["backupCount"]) == (10_485_760, 5)


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
