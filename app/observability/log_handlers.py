"""Log handlers for processes that share standard error or a file: every line stays whole."""

import fcntl
import logging
import os
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from app.observability.logging import request_ids

DELAY_S = 0.05
MAX_BUFFERED = 100  # records; their lines fill about half of a pipe

log = logging.getLogger(__name__)


class StderrHandler(logging.StreamHandler[Any]):
    """Write to standard error under a lock: a pipe accepts only 4 KiB atomically (PIPE_BUF, pipe(7)).

    After `start_batching`, records of the loggers in BATCHED wait for DELAY_S and are written together, because each
    write wakes the reader of the pipe. A warning, or a record of another logger, is written at once, after the waiting
    ones. A killed process loses the waiting records.
    """

    def __init__(self, batched: Collection[str] = ()) -> None:
        stream = sys.stderr
        with suppress(AttributeError, OSError, ValueError):
            descriptor = stream.fileno()
            # A parent process may have set O_NONBLOCK; a full pipe would then cut lines.
            os.set_blocking(descriptor, True)
            # Buffered even with PYTHONUNBUFFERED, under which Python drops the rest of an interrupted write.
            stream = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        super().__init__(stream)
        self.batched = frozenset(batched)
        self.is_batching = False
        self.records: list[logging.LogRecord] = []
        self.has_records = threading.Event()

    def start_batching(self) -> None:
        """Batch records from now on."""
        self.is_batching = True
        os.register_at_fork(after_in_child=self._stop_batching)
        threading.Thread(target=self._flush_batches, name="log", daemon=True).start()

    def _stop_batching(self) -> None:
        """Leave the waiting records to the parent process, which has the thread."""
        self.records, self.is_batching = [], False

    def _flush_batches(self) -> None:
        while self.has_records.wait():
            self.has_records.clear()
            time.sleep(DELAY_S)
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record now or with its batch."""
        self.records.append(record)
        can_wait = self.is_batching and record.levelno < logging.WARNING and record.name in self.batched
        if not can_wait or len(self.records) > MAX_BUFFERED:
            self.flush()
            return
        record.request_ids = request_ids()
        if len(self.records) == 1:
            self.has_records.set()

    def flush(self) -> None:
        """Write the waiting records. Python calls this when a process ends."""
        with self.lock or nullcontext():
            records, self.records = self.records, []
            if not records or self.stream is None or self.stream.closed:
                return
            try:
                with _exclusive_lock(self.stream):
                    self.stream.write("".join(map(self._line, records)))
                    self.stream.flush()
            except Exception:  # noqa: BLE001 - as in every handler
                self.handleError(records[-1])

    def _line(self, record: logging.LogRecord) -> str:
        """Return the line, or nothing if formatting fails: the other records of the batch must not be lost."""
        try:
            return f"{self.format(record)}\n"
        except Exception:  # noqa: BLE001 - as in every handler
            self.handleError(record)
            return ""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Ignore a reader that has closed the pipe: there is no other place to report it."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class LogFileHandler(WatchedFileHandler):
    """Append to a file that logrotate may rename; a failed write loses the line but does not fail the request.

    Each line is one write in append mode, so processes do not need a lock.
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
        """Store the error of a failed write for `emit` to report."""
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


def start_batching() -> None:
    """Batch the access log of this process, which must serve requests and fork no more."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, StderrHandler):
            handler.start_batching()
