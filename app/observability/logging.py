"""Logs: one line a record on standard error, JSON for machines or text for people, each with its request's id."""

import json
import logging
import logging.config
import sys
import threading
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from math import isfinite
from types import TracebackType
from typing import Any

from flask import Flask, g

from app.observability.redaction import cleaned, redact, story

# What a record has before anybody adds to it; all else came in `extra` and belongs into the line.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "ids"}
FIRST = len(vars(logging.makeLogRecord({})))  # the place of what was added: behind all that logging itself has
OF_A_REQUEST = frozenset({"method", "path", "route", "status", "duration_s", "bytes", "client", "token"})
PLAIN = frozenset({str, int, type(None)})
ENCODE = json.JSONEncoder(allow_nan=False).encode
FILE_BYTES, FILE_COUNT = 10 * 2**20, 5

log = logging.getLogger(__name__)


class JSONFormatter(logging.Formatter):
    """One JSON object a line; a line break in what a client sent cannot begin a second one."""

    def __init__(self, release: str) -> None:
        super().__init__()
        self.release = release

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with all its extra fields, renamed where a name is taken; the time is RFC 3339 in UTC."""
        request_id, trace_id = _ids_of(record)
        line: dict[str, Any] = {
            "time": f"{_second(int(record.created))}.{int(record.created % 1 * 1000):03d}+00:00",
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            "request_id": request_id,
            "release": self.release,
        }
        if trace_id:
            line["trace_id"] = trace_id
        own = OF_A_REQUEST if hasattr(record, "path") else ()
        for name, value in islice(vars(record).items(), FIRST, None):
            if name not in STANDARD:
                told = value if name in own and _is_plain(value) else cleaned(value, name)
                line[f"extra_{name}" if name in line else name] = told
        if record.exc_info:
            line["exception"] = _story(record.exc_info)
        return ENCODE(line)


class TextFormatter(logging.Formatter):
    """A line for a person's eyes, with control characters escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, ended by the request's id where there is one; a traceback follows, set in."""
        record.message, record.asctime = _message(record), self.formatTime(record, self.datefmt)
        line = self.formatMessage(record).translate(CONTROLS)
        request_id, _ = _ids_of(record)
        told = _story(record.exc_info).split("\n") if record.exc_info else []
        ending = f"  [{request_id[:8]}]" if request_id else ""
        return "\n    ".join([line + ending, *(part.translate(CONTROLS) for part in told)])


CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def _is_plain(value: Any) -> bool:
    return type(value) in PLAIN or (type(value) is float and isfinite(value))


def _message(record: logging.LogRecord) -> str:
    """Return what is to be said. A line for a request says its path, which is no text to search for secrets.

    Arguments that do not fit their text are not told: logging itself would print them as they are.
    """
    try:
        said = record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever an argument's own text raises
        said = f"{record.msg if isinstance(record.msg, str) else type(record.msg).__name__} ({type(error).__name__})"
    return said if hasattr(record, "path") else redact(said)


def _story(exc_info: Any) -> str:
    error = exc_info[1]
    return story(error) if error else ""


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    """Return a time without a fraction; thousands of lines may have the same."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _ids_of(record: logging.LogRecord) -> tuple[str | None, str | None]:
    """Return the ids that a record brings, as a batched one must, or those of the request."""
    return vars(record).get("ids") or _ids()


def _ids() -> tuple[str | None, str | None]:
    """Return the request's id, and the trace's where that is another one."""
    try:
        context = g._get_current_object()  # noqa: SLF001 - one look instead of three
    except RuntimeError:  # outside of the application
        return None, None
    return context.get("request_id"), context.get("trace_id")


def init_app(app: Flask) -> None:
    """Send every logger of the process to the same place in the same form, which says nothing of threads or places.

    https://docs.python.org/3/howto/logging.html#optimization
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - so that no line looks for who wrote it
    settings = app.config
    if settings["ENVIRONMENT"] == "production":
        _tell_all()
    logging.config.dictConfig(
        dict_config(settings["LOG_LEVEL"], settings["LOG_FORMAT"], settings["LOG_TO_FILE"], settings["RELEASE"])
    )


def _tell_all() -> None:
    """Tell what nobody handled without what it quotes: a thread's is a line, a command's is for whoever typed it."""
    logging.raiseExceptions = False
    threading.excepthook = _thread_failed
    sys.excepthook = _command_failed


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value and not isinstance(failure.exc_value, SystemExit):
        log.critical("unhandled %s", failure.exc_type.__name__, exc_info=failure.exc_value)


def _command_failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write(f"{story(error)}\n")


def dict_config(level: str, form: str, path: str = "", release: str = "unknown") -> dict[str, Any]:
    """Return the logging.config dictionary, for the application and for Gunicorn alike.

    PATH, if given, is a file that is rotated at 10 MiB, five kept, whichever process writes to it.
    """
    stream: dict[str, Any] = {"class": "app.observability.log_stream.StandardErrorHandler", "formatter": form}
    handlers = {"stream": stream | {"gathered": ["app.request"]}}
    if path:
        rotation = {"filename": path, "max_bytes": FILE_BYTES, "kept": FILE_COUNT}
        handlers["file"] = {"class": "app.observability.log_file.SharedFileHandler", "formatter": form, **rotation}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JSONFormatter, "release": release}, "text": {"()": TextFormatter}},
        "handlers": handlers,
        "root": {"level": level, "handlers": list(handlers)},
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": [], "propagate": True},
            "alembic": {"level": "WARNING"},  # migrations/env.py raises it: a probe that looks has nothing to tell
        },
    }
