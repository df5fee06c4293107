"""Logging: one line per record on standard error, as JSON or as text, with the request id."""

import json
import logging
import logging.config
import sys
import threading
from datetime import UTC, datetime
from math import isfinite
from types import TracebackType
from typing import Any

from flask import Flask, g, has_app_context

from app.observability.redaction import format_traceback, redact, sanitize

# Attributes of every record; any other attribute came through `extra` and belongs in the line.
STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_ids"}
# Not redacted in records about a request: a path is what a reader searches for.
REQUEST_FIELDS = frozenset({"method", "path", "route", "status", "duration_s", "bytes", "client", "token_name"})
SCALARS = (str, int, type(None))
ENCODE = json.JSONEncoder(allow_nan=False).encode
CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}

log = logging.getLogger(__name__)


class JSONFormatter(logging.Formatter):
    """Format a record as one JSON object per line, so a line break from a client cannot forge a line."""

    def __init__(self, release: str) -> None:
        super().__init__()
        self.release = release

    def format(self, record: logging.LogRecord) -> str:
        """Return the standard fields and those passed through `extra`; a name that is taken gets a prefix."""
        request_id, trace_id = _request_ids(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            "request_id": request_id,
            "trace_id": trace_id,
            "release": self.release,
        }
        trusted = REQUEST_FIELDS if hasattr(record, "path") else ()
        for name, value in vars(record).items():
            if name not in STANDARD_ATTRIBUTES:
                is_safe = name in trusted and _is_scalar(value)
                line[f"extra_{name}" if name in line else name] = value if is_safe else sanitize(value, name)
        if record.exc_info:
            line["exception"] = _traceback(record.exc_info)
        return ENCODE(line)


class TextFormatter(logging.Formatter):
    """Format a record as a line for a terminal, with control characters escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, the beginning of the request id, and an indented traceback."""
        record.message, record.asctime = _message(record), self.formatTime(record, self.datefmt)
        line = self.formatMessage(record).translate(CONTROL_CHARACTERS)
        request_id, _ = _request_ids(record)
        if request_id:
            line += f"  [{request_id[:8]}]"
        traceback = _traceback(record.exc_info).split("\n") if record.exc_info else []
        return "\n    ".join([line, *(part.translate(CONTROL_CHARACTERS) for part in traceback)])


def _is_scalar(value: Any) -> bool:
    return isinstance(value, SCALARS) or (isinstance(value, float) and isfinite(value))


def _message(record: logging.LogRecord) -> str:
    """Return the redacted message. A request's message contains its path, which is not redacted.

    Arguments that do not fit the format are dropped; logging would print them unredacted.
    """
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - an argument's __str__ may raise anything
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        message = f"{template} ({type(error).__name__})"
    return message if hasattr(record, "path") else redact(message)


def _traceback(exc_info: Any) -> str:
    return format_traceback(exc_info[1]) if exc_info[1] else ""


def _request_ids(record: logging.LogRecord) -> tuple[str | None, str | None]:
    """Return the ids of a batched record, which another thread formats, or of the current request."""
    return vars(record).get("request_ids") or request_ids()


def request_ids() -> tuple[str | None, str | None]:
    """Return the request id and the trace id of the current request."""
    return (g.get("request_id"), g.get("trace_id")) if has_app_context() else (None, None)


def init_app(app: Flask) -> None:
    """Configure every logger of the process; in production also log or print uncaught exceptions redacted."""
    settings = app.config
    if settings["ENVIRONMENT"] == "production":
        logging.raiseExceptions = False
        threading.excepthook = _log_thread_exception
        sys.excepthook = _print_command_exception
    logging.config.dictConfig(
        dict_config(settings["LOG_LEVEL"], settings["LOG_FORMAT"], settings["LOG_TO_FILE"], settings["RELEASE"])
    )


def _log_thread_exception(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value and not isinstance(arguments.exc_value, SystemExit):
        log.critical("unhandled %s", arguments.exc_type.__name__, exc_info=arguments.exc_value)


def _print_command_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write(f"{format_traceback(error)}\n")


def dict_config(level: str, log_format: str, file: str = "", release: str = "unknown") -> dict[str, Any]:
    """Return the logging.config dictionary, for the application and for Gunicorn."""
    handlers: dict[str, Any] = {
        "stderr": {
            "class": "app.observability.log_handlers.StderrHandler",
            "formatter": log_format,
            "batched": ["app.request"],
        }
    }
    if file:
        handler_class = "app.observability.log_handlers.LogFileHandler"
        handlers["file"] = {"class": handler_class, "formatter": log_format, "filename": file}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JSONFormatter, "release": release}, "text": {"()": TextFormatter}},
        "handlers": handlers,
        "root": {"level": level, "handlers": list(handlers)},
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": [], "propagate": True},
            "alembic": {"level": "WARNING"},  # migrations/env.py raises the level; readiness probes log nothing
        },
    }
