"""Logs: one line a record on standard error, JSON for machines or text for people, each with its request's id."""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any

from flask import Flask, g, has_app_context

# What a record has before anybody adds to it; all else came in `extra` and belongs into the line.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
ENCODE = json.JSONEncoder(default=str).encode
FILE_BYTES, FILE_COUNT = 10 * 2**20, 5


class JSONFormatter(logging.Formatter):
    """One JSON object a line; a line break in what a client sent cannot begin a second one."""

    def __init__(self, release: str) -> None:
        super().__init__()
        self.release = release

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with all its extra fields; the time is RFC 3339 in UTC."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": _request_id(),
            "release": self.release,
        }
        line.update({name: value for name, value in vars(record).items() if name not in STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return ENCODE(line)


class TextFormatter(logging.Formatter):
    """A line for a person's eyes, with control characters escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name for it
        """Return the line, ended by the request's id where there is one."""
        line = super().formatMessage(record).translate(CONTROLS)
        return f"{line}  [{request_id[:8]}]" if (request_id := _request_id()) else line


CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def _request_id() -> str | None:
    return g.get("request_id") if has_app_context() else None


def init_app(app: Flask) -> None:
    """Send every logger of the process to the same place in the same form."""
    settings = app.config
    logging.config.dictConfig(
        dict_config(settings["LOG_LEVEL"], settings["LOG_FORMAT"], settings["LOG_TO_FILE"], settings["RELEASE"])
    )


def dict_config(level: str, form: str, path: str = "", release: str = "unknown") -> dict[str, Any]:
    """Return the logging.config dictionary, for the application and for Gunicorn alike.

    PATH, if given, is a file that is rotated at 10 MiB, five kept; use it only with one process.
    """
    stream: dict[str, Any] = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": form}
    handlers = {"stream": stream}
    if path:
        rotation = {"filename": path, "maxBytes": FILE_BYTES, "backupCount": FILE_COUNT, "delay": True}
        handlers["file"] = {"class": "logging.handlers.RotatingFileHandler", "formatter": form, **rotation}
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
