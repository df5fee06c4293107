"""Log handlers for processes that share standard error or a file: every line stays whole."""

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class StderrHandler(logging.StreamHandler[Any]):
    """Write to standard error under a lock: a pipe accepts only 4 KiB atomically (PIPE_BUF, pipe(7))."""

    def __init__(self) -> None:
        stream = sys.stderr
        with suppress(AttributeError, OSError, ValueError):
            descriptor = stream.fileno()
            # A parent process may have set O_NONBLOCK; a full pipe would then cut lines.
            os.set_blocking(descriptor, True)
            # Buffered even with PYTHONUNBUFFERED, under which Python drops the rest of an interrupted write.
            stream = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        super().__init__(stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        if self.stream is not None and not self.stream.closed:
            with _exclusive_lock(self.stream):
                super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ignore a reader that has closed the pipe: there is no other place to report it."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class LogFileHandler(WatchedFileHandler):
    """Append to a file that logrotate may rename; a write that fails loses the line and fails no request.

    Each line is one write in append mode, so processes need no lock.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", errors="backslashreplace", delay=True)
        self.error: OSError | None = None
        self.is_failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; report the first failure, and the recovery, on standard error."""
        self.error = None
        try:
            if not os.path.exists(self.baseFilename):  # noqa: PTH110 - for each line; Path.exists takes three times as long
                Path(self.baseFilename).touch(0o640)
            super().emit(record)
        except OSError as error:
            self.error = error
        if bool(self.error) != self.is_failing:
            self.is_failing = not self.is_failing
            self._report()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Remember a failed write for `emit` to report."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.error = error
        else:
            super().handleError(record)

    def _report(self) -> None:
        if self.error:
            log.error("cannot write LOG_TO_FILE, log lines go to standard error only: %s", self.error.strerror)
        else:
            log.info("LOG_TO_FILE is writable again")


@contextmanager
def _exclusive_lock(stream: Any) -> Iterator[None]:
    """Lock the stream against other processes where it can be locked."""
    with suppress(OSError):
        fcntl.lockf(stream, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.lockf(stream, fcntl.LOCK_UN)
