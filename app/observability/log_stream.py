"""Standard error as a log: whole lines from many processes, and the lines of requests gathered for a moment.

Made and written one by one, the lines of requests cost a sixth of what cheap requests cost: each wakes whoever reads
the pipe, and many made in a row take less time (`scripts/bench_cost.py`). So in a worker a request's record waits for
others, 50 ms at most; a warning, or anything else that is said, goes out at once with what waited before it. Only a
worker that is killed takes records along.
"""

import fcntl
import io
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

DELAY = 0.05  # s
ROOM = 100  # records that wait at most; their lines are about half of what a pipe holds
PATIENCE = 1  # s, for a reader whose pipe is full and was set not to block


class StandardErrorHandler(logging.Handler):
    """Writes records to standard error; once `gather` was called, those of the loggers in GATHERED in groups.

    A record that waits must hold what its line needs: no argument that changes, nothing that only its thread knows.
    """

    def __init__(self, gathered: Collection[str] = ()) -> None:
        super().__init__()
        self.stream = sys.stderr
        self.gathered = gathered
        self.records: list[logging.LogRecord] = []
        self.torn = False  # a line was written in part
        self.gathering = False
        self.begun = threading.Event()

    def gather(self) -> None:
        """Begin to gather, in a process that will serve and does not fork any more."""
        self.gathering = True
        os.register_at_fork(after_in_child=self._forget)
        threading.Thread(target=self._flush_soon, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or keep it for a moment."""
        self.records.append(record)
        if not self._waits(record) or len(self.records) > ROOM:
            self._write()
        elif len(self.records) == 1:
            self.begun.set()

    def _waits(self, record: logging.LogRecord) -> bool:
        return self.gathering and record.levelno < logging.WARNING and record.name in self.gathered

    def flush(self) -> None:
        """Write what waits. Python calls this at a process' end, after the last request."""
        self.acquire()
        try:
            self._write()
        finally:
            self.release()

    def _flush_soon(self) -> None:
        while True:
            self.begun.wait()
            self.begun.clear()
            time.sleep(DELAY)
            self.flush()

    def _write(self) -> None:
        """Write all there is; whatever fails at that costs lines, and neither a request nor the thread that flushes."""
        records, self.records = self.records, []
        if not records or self.stream is None or self.stream.closed:
            return
        try:
            self._send("".join(map(self._line, records)))
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(records[-1])

    def _line(self, record: logging.LogRecord) -> str:
        """Return the record's line, none if its form fails: that must not cost the lines of others."""
        try:
            return f"{self.format(record)}\n"
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)
            return ""

    def _send(self, text: str) -> None:
        """Write a text. If nobody can read it, it is lost: there is no place left to say so."""
        try:
            descriptor = self.stream.fileno()
        except io.UnsupportedOperation:  # a notebook's, or a test's
            self.stream.write(text)
            return
        data = ("\n" * self.torn + text).encode(errors="backslashreplace")
        self.torn = True
        with suppress(OSError), _alone(descriptor):
            write_all(descriptor, data)
            self.torn = False

    def _forget(self) -> None:
        """In a child of this process: what waits is its parent's to write, and there is no thread that gathers."""
        self.records, self.gathering = [], False


def gather() -> None:
    """Let the handlers of the process gather."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, StandardErrorHandler):
            handler.gather()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it. Raises OSError, also where a pipe that does not block stays full."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            if not select.select([], [descriptor], [], PATIENCE)[1]:
                raise


@contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    """Keep other processes from writing meanwhile: a pipe takes only 4 KiB in one piece (pipe(7), PIPE_BUF)."""
    with suppress(OSError):  # not everything can be locked
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_UN)
